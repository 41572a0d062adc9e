import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { logColumns } from './athena.ts'
import { synthesise } from './synthesised.ts'

const { templates, ofType, one, remove } = synthesise()
afterAll(remove)

type Statement = { Effect: string; Action: string | string[]; Resource: unknown; Condition?: unknown }
const bucket = /^LogB?[0-9A-F]{8}$/
const [bucketId = ''] = Object.keys(templates.api.findResources('AWS::S3::Bucket'))
const arn = (path: string) => ({ 'Fn::Join': ['', [{ 'Fn::GetAtt': [bucketId, 'Arn'] }, path]] })

test('is kept in a bucket of its own, without old versions', () => {
  const log = templates.api.findResources('AWS::S3::Bucket')[bucketId]
  expect(bucketId).toMatch(bucket)
  expect(log?.Properties).not.toHaveProperty('VersioningConfiguration')
  expect(log?.Properties.LifecycleConfiguration.Rules).toEqual([
    { Id: 'messages', Status: 'Enabled', Prefix: 'messages/', ExpirationInDays: 2 },
    { Id: 'uploads', Status: 'Enabled', AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } },
    {
      Id: 'archive',
      Status: 'Enabled',
      Prefix: 'archive/',
      Transitions: [{ StorageClass: 'GLACIER_IR', TransitionInDays: 90 }],
      ExpirationInDays: 3650,
    },
  ])
})

test('is named to the function, with its archive', () => {
  const { Variables } = one('AWS::Lambda::Function').Properties.Environment as { Variables: Record<string, unknown> }
  expect(Variables).toMatchObject({
    POSTERN_LOG: { 'Fn::Join': ['', ['s3://', { Ref: bucketId }]] },
    POSTERN_ARCHIVE: { 'Fn::Join': ['', ['s3://', { Ref: bucketId }, '/archive']] },
  })
})

test('can be read, added to and removed from by the function alone, which can change no file', () => {
  const ofBuckets = ofType('AWS::IAM::Policy').flatMap(({ name, Properties }) =>
    (Properties.PolicyDocument as { Statement: Statement[] }).Statement.filter(({ Action }) =>
      [Action].flat().some((action) => action.startsWith('s3:')),
    ).map((statement) => ({ of: name.replace(/[0-9A-F]{8}$/, ''), ...statement })),
  )
  const of = 'api/FunctionRoleDefaultPolicy'
  const Effect = 'Allow'
  expect(ofBuckets.filter((statement) => JSON.stringify(statement).includes(bucketId))).toEqual([
    {
      of,
      Sid: 'ReadAndRemove',
      Effect,
      Action: ['s3:GetObject', 's3:DeleteObject'],
      Resource: [arn('/log/*'), arn('/messages/*')],
    },
    {
      of,
      Sid: 'CreateFiles',
      Effect,
      Action: 's3:PutObject',
      Resource: [arn('/log/*'), arn('/archive/*'), arn('/messages/*')],
      Condition: { Null: { 's3:if-none-match': 'false' } },
    },
    {
      of,
      Sid: 'ListLog',
      Effect,
      Action: 's3:ListBucket',
      Resource: { 'Fn::GetAtt': [bucketId, 'Arn'] },
      Condition: { StringLikeIfExists: { 's3:prefix': ['log/*', 'messages/*'] } },
    },
  ])
  expect(ofBuckets.filter(({ of: policy }) => policy === of)).toHaveLength(3)
})

test('is merged each minute, and compacted in runs that do not overlap', () => {
  const { Timeout, EphemeralStorage } = one('AWS::Lambda::Function').Properties
  expect(Timeout).toBe(300)
  // A search may keep 512 MiB of fetched files; a sort needs room beside it.
  expect(EphemeralStorage).toEqual({ Size: 10_240 })
  for (const [schedule, rate] of [
    ['merge', 'rate(1 minute)'],
    ['compaction', 'rate(5 minutes)'],
  ]) {
    templates.api.hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: rate,
      Target: { Input: JSON.stringify({ schedule }), RetryPolicy: { MaximumRetryAttempts: 0 } },
    })
  }
})

describe('for Athena', () => {
  type Table = { Name: string; StorageDescriptor: { Location: unknown }; Parameters: Record<string, unknown> }
  const tables = ofType('AWS::Glue::Table').map(({ Properties }) => Properties.TableInput as Table)
  const below = (path: string) => ({ 'Fn::Join': ['', ['s3://', { Ref: bucketId }, path]] })

  test('has a table of the log and one of the archive, whose partitions are days', () => {
    expect(one('AWS::Glue::Database').Properties.DatabaseInput).toMatchObject({ Name: 'postern' })
    expect(tables.map(({ Name }) => Name)).toEqual(['events', 'archive'])
    for (const [i, folder] of ['/log/', '/archive/log/'].entries()) {
      const { StorageDescriptor, Parameters, ...table } = tables[i] as Table
      expect(table).toMatchObject({ PartitionKeys: [{ Name: 'day', Type: 'string' }], TableType: 'EXTERNAL_TABLE' })
      expect(StorageDescriptor.Location).toEqual(below(folder))
      expect(Parameters).toMatchObject({
        'projection.enabled': 'true',
        'projection.day.type': 'date',
        'projection.day.format': 'yyyy-MM-dd',
        'storage.location.template': below(`${folder}\${day}/parquet/`),
      })
    }
  })

  // By path: this room may not import the log, and a table that differs would fail in Athena only.
  const from = (path: string) => import(new URL(path, import.meta.url).href)

  test('has the columns that the files have', async () => {
    const { columns } = (await from('../db/log/columns.ts')) as { columns: Record<string, { type: string }> }
    const names: Record<string, string> = {
      TIMESTAMP_MS: 'timestamp',
      BIGINT: 'bigint',
      INTEGER: 'int',
      SMALLINT: 'smallint',
      BOOLEAN: 'boolean',
      VARCHAR: 'string',
      'VARCHAR[]': 'array<string>',
    }
    expect(logColumns).toEqual(
      Object.fromEntries(Object.entries(columns).map(([name, { type }]) => [name, names[type]])),
    )
  })

  test('is declared in the README as in the template', () => {
    const readme = readFileSync(new URL('README.md', import.meta.url), 'utf8')
    const declared = readme.slice(readme.indexOf('CREATE EXTERNAL TABLE'))
    const columns = declared.slice(declared.indexOf('(') + 1, declared.indexOf('\n)'))
    expect(columns.trim().split(/,\s+/)).toEqual(
      Object.entries(logColumns).map(([name, type]) => `${name === 'at' ? '`at`' : name} ${type}`),
    )
    const properties = Object.entries(tables[0]?.Parameters ?? {}).filter(([name]) => name.startsWith('projection.'))
    for (const [name, value] of properties) expect(declared).toContain(`'${name}' = '${value}'`)
    expect(declared).toContain(`'storage.location.template' = 's3://BUCKET/log/\${day}/parquet/'`)
  })

  test('looks where the files are', async () => {
    const { parquetKey } = (await from('../db/log/file-names.ts')) as {
      parquetKey(name: { hour: number; generation: number }): string
    }
    const day = 'log/2026-11-30/parquet/'
    expect(parquetKey({ hour: Date.UTC(2026, 10, 30, 8), generation: 1 })).toBe(`${day}08.parquet`)
  })
})
