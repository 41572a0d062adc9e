import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import type { NotifyWorkers } from '../dependencies.ts'

const timeoutMs = 2_000

export function makeNotifyWorkers(env: NodeJS.ProcessEnv): NotifyWorkers {
  const sqs = new SQSClient({
    region: env.AWS_REGION ?? 'us-east-1',
    maxAttempts: 2,
    ...(env.POSTERN_SQS_ENDPOINT ? { endpoint: env.POSTERN_SQS_ENDPOINT } : {}),
  })
  return {
    send: async (queueUrl, revision) => {
      const message = new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: JSON.stringify({ revision }) })
      await sqs.send(message, { abortSignal: AbortSignal.timeout(timeoutMs) })
    },
  }
}
