import type { Stack } from 'aws-cdk-lib'
import { CfnDatabase, CfnTable } from 'aws-cdk-lib/aws-glue'
import type { Bucket } from 'aws-cdk-lib/aws-s3'

/** The columns of the log's Parquet files (db/log/columns.ts), with the names that Athena has for their types. */
export const logColumns = {
  at: 'timestamp',
  worker: 'string',
  log: 'string',
  n: 'bigint',
  type: 'string',
  severity: 'smallint',
  level: 'string',
  logged: 'boolean',
  message_id: 'string',
  sender: 'string',
  recipient: 'array<string>',
  domain: 'array<string>',
  client_ip: 'string',
  login: 'string',
  rule: 'string',
  reason: 'string',
  revision: 'int',
  reply_code: 'smallint',
  enhanced_code: 'string',
  remote_host: 'string',
  duration_ms: 'bigint',
  size: 'bigint',
  subject: 'string',
  fields: 'string',
} as const

/**
 * Makes the database `postern` for Athena, with a table for the log and one for the archive. Their partitions are days,
 * which Athena works out from the query (partition projection): nothing has to register a new day.
 */
export function athenaTables(stack: Stack, bucket: Bucket): void {
  const database = new CfnDatabase(stack, 'AthenaDatabase', {
    catalogId: stack.account,
    databaseInput: { name: 'postern', description: 'Postern: the log' },
  })
  for (const [name, folder] of [
    ['events', 'log'],
    ['archive', 'archive/log'],
  ] as const) {
    const table = new CfnTable(stack, `AthenaTable-${name}`, {
      catalogId: stack.account,
      databaseName: 'postern',
      tableInput: { name, ...parquetTable(`s3://${bucket.bucketName}/${folder}/`) },
    })
    table.addResourceDependency(database)
  }
}

function parquetTable(location: string): Omit<CfnTable.TableInputProperty, 'name'> {
  return {
    tableType: 'EXTERNAL_TABLE',
    partitionKeys: [{ name: 'day', type: 'string' }],
    storageDescriptor: {
      location,
      columns: Object.entries(logColumns).map(([name, type]) => ({ name, type })),
      inputFormat: 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat',
      outputFormat: 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat',
      serdeInfo: { serializationLibrary: 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe' },
    },
    parameters: {
      EXTERNAL: 'TRUE',
      classification: 'parquet',
      'projection.enabled': 'true',
      'projection.day.type': 'date',
      'projection.day.format': 'yyyy-MM-dd',
      // `logging.retentionDays` allows up to ten years.
      'projection.day.range': 'NOW-3650DAYS,NOW+1DAYS',
      'projection.day.interval': '1',
      'projection.day.interval.unit': 'DAYS',
      // Athena reads every file below a location: the folder has only the compacted hours.
      'storage.location.template': `${location}\${day}/parquet/`,
    },
  }
}
