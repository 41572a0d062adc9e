import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** When a message arrives: once after each of these milliseconds. None: it is lost. */
export type Fate = () => number[]

export type FakeSqs = {
  readonly endpoint: string
  /** What a client of the real SDK needs beside the endpoint. */
  readonly env: Record<string, string>
  /** Messages accepted, and how often one was delivered. */
  readonly sent: number
  readonly received: number
  /** Messages in queues or in transit. */
  readonly waiting: number
  stop(): Promise<void>
}

export type FakeSqsOptions = {
  fate?: Fate
  /** Accepts connections and requests and never answers. */
  hangs?: boolean
}

/** A small SQS (JSON protocol) whose faults the test controls. */
export async function startFakeSqs({ fate = () => [0], hangs = false }: FakeSqsOptions = {}): Promise<FakeSqs> {
  const queues = new Map<string, string[]>()
  const counts = { sent: 0, received: 0, onTheirWay: 0 }
  const server = createServer(async (request, response) => {
    const input = JSON.parse((await bodyOf(request)) || '{}') as { QueueName?: string; QueueUrl?: string } & Record<
      string,
      unknown
    >
    if (hangs) return
    const name = input.QueueName ?? input.QueueUrl?.split('/').at(-1) ?? ''
    const queue = queues.get(name)
    switch (String(request.headers['x-amz-target']).replace('AmazonSQS.', '')) {
      case 'CreateQueue':
        queues.set(name, queue ?? [])
        return answer(response, { QueueUrl: `${endpoint}/000000000000/${name}` })
      case 'SendMessage': {
        const body = String(input.MessageBody)
        counts.sent += 1
        for (const afterMs of fate()) {
          counts.onTheirWay += 1
          setTimeout(() => {
            counts.onTheirWay -= 1
            queues.get(name)?.push(body)
          }, afterMs)
        }
        return answer(response, { MessageId: randomUUID(), MD5OfMessageBody: md5(body) })
      }
      case 'ReceiveMessage': {
        for (let i = 0; i < 100 && !queue?.length && !response.destroyed; i++) await sleep(20)
        const [body] = queue?.splice(0, 1) ?? []
        if (body === undefined) return answer(response, {})
        counts.received += 1
        const id = randomUUID()
        return answer(response, { Messages: [{ MessageId: id, ReceiptHandle: id, Body: body, MD5OfBody: md5(body) }] })
      }
      default:
        return answer(response, { Successful: [], Failed: [] })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    endpoint,
    env: sqsEnvironment(endpoint),
    get sent() {
      return counts.sent
    },
    get received() {
      return counts.received
    },
    get waiting() {
      return [...queues.values()].reduce((sum, { length }) => sum + length, counts.onTheirWay)
    },
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export function sqsEnvironment(endpoint: string): Record<string, string> {
  return {
    POSTERN_SQS_ENDPOINT: endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  }
}

function answer(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body))
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex')
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}
