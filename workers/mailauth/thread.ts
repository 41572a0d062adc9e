import { parentPort, workerData } from 'node:worker_threads'
import { openLocalReader } from '@postern/spool/local/reader.ts'
import type { SpoolReader } from '@postern/spool/spool.ts'
import { Names } from './resolver.ts'
import type { Asked, Said, Setup } from './thread-messages.ts'
import { examine } from './verify.ts'

/** The thread in which messages are examined: many at once, because most of the time is waiting for the DNS. */

/** Messages up to here are read at once. */
const wholeOctets = 1 << 20

type Inbox = { give(pieces: Uint8Array[], last: boolean): void; drop(): void }

const { servers, spool } = workerData as Setup
const names = new Names(servers)
const reader: SpoolReader | undefined = spool === undefined ? undefined : openLocalReader({ directory: spool })
const inboxes = new Map<number, Inbox>()
let news: Said[] = []

/** What is said in one turn of the loop goes in one message. */
function say(said: Said): void {
  if (news.length === 0)
    setImmediate(() => {
      parentPort?.postMessage(news)
      news = []
    })
  news.push(said)
}

function hear(asked: Asked): void {
  switch (asked.kind) {
    case 'stored':
      void answer(asked, stored(asked))
      break
    case 'whole':
      void answer(asked, [Buffer.from(asked.message.buffer, asked.message.byteOffset, asked.message.byteLength)])
      break
    case 'sent':
      void answer(asked, pieces(asked.id))
      break
    case 'piece':
      inboxes.get(asked.id)?.give(asked.pieces, asked.last)
      break
    case 'dropped':
      inboxes.get(asked.id)?.drop()
  }
}

type Job = Extract<Asked, { kind: 'stored' | 'whole' | 'sent' }>

async function answer({ id, question }: Job, message: Iterable<Buffer> | AsyncIterable<Buffer>): Promise<void> {
  try {
    const dns = names.listen()
    const examined = await examine(question, message, dns)
    say({ kind: 'examined', id, examined: { ...examined, holdsMs: dns.holdsMs } })
  } catch (error) {
    say({ kind: 'failed', id, error: (error as Error).message.slice(0, 300) })
  } finally {
    inboxes.delete(id)
  }
}

async function* stored({ location, octets }: Extract<Job, { kind: 'stored' }>): AsyncGenerator<Buffer> {
  if (!reader) throw new Error('this thread has no spool to read')
  if (octets <= wholeOctets) yield await reader.readBody(location)
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
    if (dropped) throw new Error('nobody waits for it')
    if (ended) return
    const come = new Promise<void>((resolve) => {
      wake = resolve
    })
    say({ kind: 'more', id })
    await come
  }
}

parentPort?.on('message', (several: Asked[]) => {
  for (const asked of several) hear(asked)
})
