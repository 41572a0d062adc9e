import { afterEach, expect, test } from 'vitest'
import { type Cut, CutServer, type Dialogue } from '../test/cut-server.ts'
import { Testbed, until } from '../test/testbed.ts'

/**
 * Whatever byte a connection ends at, nobody's message is lost; who was told 250 after the body is not sent it again, and who
 * was not is (RFC 5321 §4.5.4.1, RFC 2033 §4.2). At most once is what the protocol cannot promise: a final reply that is lost
 * on the way is a message that goes again (RFC 1047).
 */

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

const users = ['u0', 'u1']
const short = 'Subject: x\r\n\r\nHello.\r\n.dot\r\n'

type Case = { name: string; cut: Cut; server: CutServer }
type Mail = { text: string; messages: number }

/** Each case has a host and a domain of its own; all go through one queue at the same time. */
async function queueFor(dialogue: Dialogue, cuts: Cut[]): Promise<{ box: Testbed; cases: Case[] }> {
  const cases = await Promise.all(
    cuts.map(async (cut, i) => ({ name: `c${i}.test`, cut, server: await CutServer.start(dialogue, cut) })),
  )
  open.push(...cases.map(({ server }) => server))
  const box = await Testbed.open({
    domains: cases.map(({ name, server }) => ({ name, route: server.route })),
    queue: {
      reuseConnections: dialogue.extensions.includes('PIPELINING'),
      perDomainConnections: 1,
      deliveryThreads: 50,
    },
  })
  open.push(box)
  return { box, cases }
}

/** As `u0-3@c7.test`: recipient 0 of message 3 of case 7. */
const recipientsOf = ({ name }: Case, message: number) => users.map((user) => `${user}-${message}@${name}`)

async function sendAll(box: Testbed, cases: Case[], { text, messages }: Mail): Promise<number> {
  await box.queue.stopDeliveries()
  for (const each of cases) for (let m = 0; m < messages; m++) await box.send(recipientsOf(each, m), { text })
  await until('taken over', () => box.queue.status().jobs === cases.length * messages, 60_000)
  box.queue.startDeliveries()
  return cases.length * messages * users.length
}

const outcomes = (box: Testbed, kind: 'delivered' | 'deferred' | 'bounced') =>
  box.of(`delivery.${kind}`).flatMap(({ recipients }) => recipients as string[])

async function tryAgain(box: Testbed): Promise<void> {
  const order = { action: 'run', orderedBy: 'test', orderedAt: new Date().toISOString() } as const
  await box.queue.indexWriter.flush()
  box.queue.orders.take(new Map([['again', order]]))
}

async function cutAll(dialogue: Dialogue, cuts: Cut[], mail: Mail): Promise<void> {
  const { box, cases } = await queueFor(dialogue, cuts)
  const count = await sendAll(box, cases, mail)
  const { counters } = box.queue
  await until('every recipient has an outcome', () => counters.delivered + counters.deferred >= count, 120_000)
  const waiting = new Set(outcomes(box, 'deferred'))
  const sessionsBefore = new Map(cases.map(({ name, server }) => [name, server.sessions.length]))
  await tryAgain(box)
  await until('everybody has it', () => counters.delivered >= count, 120_000)
  expect(outcomes(box, 'bounced')).toEqual([])
  for (const each of cases) {
    const { sessions } = each.server
    const again = sessions.slice(sessionsBefore.get(each.name)).flatMap(({ asked }) => asked)
    for (let m = 0; m < mail.messages; m++)
      for (const to of recipientsOf(each, m)) {
        const at = `${to}, cut by ${each.cut.by} after ${each.cut.bytes} bytes ${each.cut.after}`
        expect(sessions.filter(({ promised }) => promised.includes(to)).length, `promises to ${at}`).toBe(1)
        const promise = sessions.findIndex(({ promised }) => promised.includes(to))
        const late = sessions.slice(promise + 1).some(({ asked }) => asked.includes(to))
        expect(late, `sent again after its 250: ${at}`).toBe(false)
        expect(again.includes(to), `tried again or not: ${at}`).toBe(waiting.has(to))
      }
  }
  expect(new Set(outcomes(box, 'delivered')).size).toBe(count)
  expect(outcomes(box, 'delivered').length).toBe(count)
}

/** The dialogue when nobody cuts it. */
async function uncut(dialogue: Dialogue, mail: Mail) {
  const { box, cases } = await queueFor(dialogue, [{ after: 'sent', bytes: Number.POSITIVE_INFINITY, by: 'FIN' }])
  const count = await sendAll(box, cases, mail)
  await until('delivered', () => box.queue.counters.delivered === count, 60_000)
  await box.stopQueue()
  const [session] = cases[0]?.server.sessions ?? []
  if (!session) throw new Error('no session')
  await until('QUIT', () => session.received.endsWith('QUIT\r\n'), 60_000)
  return session
}

const both = (after: Cut['after'], slots: Iterable<number>): Cut[] =>
  [...new Set(slots)].flatMap((bytes) => [
    { after, bytes, by: 'FIN' },
    { after, bytes, by: 'RST' },
  ])

/** The beginning, inside and end of each line. */
function slots(text: string): number[] {
  const ends = [...text.matchAll(/\r\n/g)].map(({ index }) => index)
  return [0, ...ends.flatMap((at) => [at - 1, at, at + 1, at + 2, at + 4])].filter((at) => at <= text.length)
}

const plain = { extensions: ['8BITMIME'] }
const pipelining = { extensions: ['PIPELINING', '8BITMIME'] }
const one = { text: short, messages: 1 }

test.each<[string, Dialogue, Mail]>([
  ['SMTP', plain, one],
  ['SMTP with PIPELINING', pipelining, one],
  ['LMTP', { ...plain, lmtp: true }, one],
  ['LMTP with PIPELINING', { ...pipelining, lmtp: true }, one],
  ['SMTP, three messages, an envelope ahead of its turn', pipelining, { text: short, messages: 3 }],
])('%s', async (_name, dialogue, mail) => {
  const { sent, received } = await uncut(dialogue, mail)
  const every = Array.from({ length: sent.length + 1 }, (_, bytes) => bytes)
  // Three times the dialogue is three times the work and nine times the mail: there the edges of the lines are enough.
  const cuts = both('sent', mail.messages === 1 ? every : slots(sent))
  await cutAll(dialogue, [...cuts, ...both('received', slots(received))], mail)
})

test.each<[string, Dialogue]>([
  ['SMTP', pipelining],
  ['LMTP', { ...pipelining, lmtp: true }],
])('%s: a message that is streamed', async (_name, dialogue) => {
  const text = `Subject: x\r\n\r\n${'.a line of about forty bytes, with a dot\r\n'.repeat(30_000)}`
  await cutAll(dialogue, both('received', [300, 70_000, 1_000_000]), { text, messages: 1 })
})
