import { Duration, Stack } from 'aws-cdk-lib'
import { PolicyStatement, type Role } from 'aws-cdk-lib/aws-iam'
import { Bucket, StorageClass } from 'aws-cdk-lib/aws-s3'
import { acceptFindings, wildcard } from './accepted-findings.ts'
import { closed } from './foundation.ts'

/**
 * Makes the bucket of the log: `log/` has the files that searches read, `archive/` the days that the retention removed,
 * `messages/` what is in transit between the API and a worker.
 * It is not versioned. The function's rights do not let it overwrite a file, and what it removes has been merged,
 * compacted or archived before. Old versions would keep every event two or three times.
 */
export function logBucket(stack: Stack, accessLogs: Bucket): Bucket {
  return new Bucket(stack, 'Log', {
    ...closed,
    serverAccessLogsBucket: accessLogs,
    serverAccessLogsPrefix: 'log/',
    lifecycleRules: [
      // The retention removes them after a day. This is for when it does not run.
      { id: 'messages', prefix: 'messages/', expiration: Duration.days(2) },
      { id: 'uploads', abortIncompleteMultipartUploadAfter: Duration.days(1) },
      {
        id: 'archive',
        prefix: 'archive/',
        transitions: [{ storageClass: StorageClass.GLACIER_INSTANT_RETRIEVAL, transitionAfter: Duration.days(90) }],
        // `logging.retentionDays` allows up to ten years.
        expiration: Duration.days(3650),
      },
    ],
  })
}

/** Lets the API keep the log: read, create and remove files of the log and of messages, and create files of the archive. */
export function grantLog(role: Role, bucket: Bucket): void {
  const [log, archive, messages] = ['log/*', 'archive/*', 'messages/*'].map((path) => bucket.arnForObjects(path)) as [
    string,
    string,
    string,
  ]
  const statements = [
    { sid: 'ReadAndRemove', actions: ['s3:GetObject', 's3:DeleteObject'], resources: [log, messages] },
    {
      sid: 'CreateFiles',
      actions: ['s3:PutObject'],
      resources: [log, archive, messages],
      // Files are never changed: a write must ask S3 to refuse a key that is taken.
      conditions: { Null: { 's3:if-none-match': 'false' } },
    },
    {
      sid: 'ListLog',
      actions: ['s3:ListBucket'],
      resources: [bucket.bucketArn],
      // S3 says that a file is absent, which happens after a merge, only to who may list the bucket. A GET has no prefix.
      conditions: { StringLikeIfExists: { 's3:prefix': ['log/*', 'messages/*'] } },
    },
  ]
  for (const statement of statements) role.addToPolicy(new PolicyStatement(statement))
  acceptFindings(role, {
    [wildcard(Stack.of(role), log)]:
      'The API names the files of the log by worker and hour, so only their prefix is known',
    [wildcard(Stack.of(role), messages)]:
      'The API makes a new id for each message in transit, so only their prefix is known',
    [wildcard(Stack.of(role), archive)]:
      'The API may only create objects below archive/. It cannot read, replace or delete one',
  })
}
