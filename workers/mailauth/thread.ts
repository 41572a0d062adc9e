import { parentPort, workerData } from 'node:worker_threads'
import { openLocalReader } from '@postern/spool/local/reader.ts'
import type { SpoolReader } from '@postern/spool/spool.ts'
import { CachingResolver } from './resolver.ts'
import type { Setup, ThreadRequest, ThreadResponse } from './thread-messages.ts'
import { verify } from './verify.ts'

/** The thread that verifies messages: many at once, because most of the time is spent waiting for the DNS. */

/** Messages up to this many bytes are read in one go. */
const wholeBytes = 1 << 20

type Inbox = { give(pieces: Uint8Array[], last: boolean): void; drop(): void }

const { servers, spool } = workerData as Setup
const resolver = new CachingResolver(servers)
const reader: SpoolReader | undefined = spool === undefined ? undefined : openLocalReader({ directory: spool })
const inboxes = new Map<number, Inbox>()
let outgoing: ThreadResponse[] = []

/** Sends all responses of one turn of the event loop in one message. */
function send(response: ThreadResponse): void {
  if (outgoing.length === 0)
    setImmediate(() => {
      parentPort?.postMessage(outgoing)
      outgoing = []
    })
  outgoing.push(response)
}

function receive(request: ThreadRequest): void {
  switch (request.kind) {
    case 'stored':
      void answer(request, stored(request))
      break
    case 'whole':
      void answer(request, [
        Buffer.from(request.message.buffer, request.message.byteOffset, request.message.byteLength),
      ])
      break
    case 'sent':
      void answer(request, pieces(request.id))
      break
    case 'piece':
      inboxes.get(request.id)?.give(request.pieces, request.last)
      break
    case 'dropped':
      inboxes.get(request.id)?.drop()
  }
}

type Job = Extract<ThreadRequest, { kind: 'stored' | 'whole' | 'sent' }>

async function answer({ id, question }: Job, message: Iterable<Buffer> | AsyncIterable<Buffer>): Promise<void> {
  try {
    const dns = resolver.listen()
    const result = await verify(question, message, dns)
    send({ kind: 'verified', id, result: { ...result, holdsMs: dns.holdsMs } })
  } catch (error) {
    send({ kind: 'failed', id, error: (error as Error).message.slice(0, 300) })
  } finally {
    inboxes.delete(id)
  }
}

async function* stored({ location, bytes }: Extract<Job, { kind: 'stored' }>): AsyncGenerator<Buffer> {
  if (!reader) throw new Error('this thread has no spool to read')
  if (bytes <= wholeBytes) yield await reader.readBody(location)
  else for await (const chunk of reader.openBody(location)) yield chunk as Buffer
}

async function* pieces(id: number): AsyncGenerator<Buffer> {
  const waiting: Uint8Array[] = []
  let ended = false
  let dropped = false
  let wake = () => {}
  inboxes.set(id, {
    give(more, last) {
      waiting.push(...more)
      ended = last
      wake()
    },
    drop() {
      dropped = true
      wake()
    },
  })
  for (;;) {
    for (let piece = waiting.shift(); piece && !dropped; piece = waiting.shift())
      yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    if (dropped) throw new Error('the result is no longer needed')
    if (ended) return
    const come = new Promise<void>((resolve) => {
      wake = resolve
    })
    send({ kind: 'more', id })
    await come
  }
}

parentPort?.on('message', (several: ThreadRequest[]) => {
  for (const request of several) receive(request)
})
