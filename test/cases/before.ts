import { setTimeout as sleep } from 'node:timers/promises'
import type { WireClient } from '@postern/smtp/test/wire-client.ts'
import { until } from '../peers/peer.ts'
import type { Case } from './case.ts'
import { password } from './world.ts'

/** What a live client does so that the worker counts, and has seen, what the facts of its case say. */

/** A new connection to the worker, from the case's address or another. The banner is unread. */
export type Open = (from?: string) => Promise<WireClient>

/** Prepares with earlier sessions. Those that stay open count as connections of the client. */
export async function doBefore(one: Case, open: Open): Promise<void> {
  const { lookups, sessionsFromAddress = 1 } = one.facts
  const { client = {}, login = {} } = lookups?.rates ?? {}
  const mails = [...transactions(before(client.messages), before(client.recipients))]
  if (mails.length > 0) await inSession(open, (wire) => says(wire, ...mails))
  const counted = sessionsFromAddress - 1 + (mails.length > 0 ? 1 : 0)
  await often(before(client.connections) - counted, () => inSession(open, async () => {}))
  await often(before(login.connections), () =>
    inSession(
      () => open(elsewhere),
      (wire) => logIn(wire, one),
    ),
  )
  const { greylist } = lookups ?? {}
  if (typeof greylist === 'object' && greylist.passed) await comeAgain(one, open)
}

/** Starts and aborts `count` messages. The first has all the recipients. */
function* transactions(messages: number, recipients: number): Generator<string> {
  for (let i = 0; i < Math.max(messages, Math.sign(recipients)); i++) {
    yield 'MAIL FROM:<>'
    if (i === 0) yield* Array.from({ length: recipients }, () => 'RCPT TO:<jane@example.org>')
    yield 'RSET'
  }
}

/** Counts for a login, whose sessions may come from any address. */
const elsewhere = '198.18.255.1'

/** The facts already count the session or message in question. */
const before = (counted: readonly [number, number] | undefined) => (counted ? counted[0] - 1 : 0)

async function often(times: number, act: () => Promise<void>): Promise<void> {
  for (let i = 0; i < times; i++) await act()
}

async function inSession(open: () => Promise<WireClient>, act: (wire: WireClient) => Promise<void>): Promise<void> {
  const wire = await open()
  try {
    await wire.reply()
    await act(wire)
  } finally {
    wire.destroy()
  }
}

async function says(wire: WireClient, ...lines: string[]): Promise<void> {
  for (const line of ['EHLO client.test', ...lines]) await wire.say(line).expect(250)
}

async function logIn(wire: WireClient, { dialogue }: Case): Promise<void> {
  const line = dialogue.map(([says]) => says).find((says) => says.startsWith('AUTH ')) ?? ''
  await wire.say('EHLO client.test').expect(250)
  // A client already counted for another case is refused here, with the same result.
  await wire.ask(loginLine(line.replace(/ \S+$/, ' right')))
}

/** `AUTH PLAIN jane@example.org right`, as it goes over the wire. */
export function loginLine(says: string): string {
  const [, mechanism = '', login = '', known = ''] = says.split(' ')
  const secret = Buffer.from(`\0${login}\0${known === 'right' ? password : 'wrong'}`).toString('base64')
  return `AUTH ${mechanism} ${secret}`
}

/** Retries like a mail server until it is accepted. */
async function comeAgain({ dialogue }: Case, open: Open): Promise<void> {
  const lines = dialogue.map(([line]) => line).filter((line) => /^(EHLO|MAIL|RCPT)/.test(line))
  let code = 0
  const tries = () =>
    inSession(open, async (wire) => {
      for (const line of lines) code = (await wire.ask(line)).code
    })
  await until('the greylist lets the client pass', () => tries().then(() => code === 250), { everyMs: 250 })
}

const noise = '\x01'.repeat(8)

/** Prepares in the case's own session, so that it has the facts of the case. */
function wrongsOf({ errors = 0, invalidRecipients = 0, attempt }: Case['facts']): string[] {
  if (attempt !== undefined && attempt !== 'binary-noise') throw new Error(`no live client does ${attempt} here`)
  const plain = Array.from({ length: errors - invalidRecipients - (attempt ? 1 : 0) }, () => 'WRONG')
  const unknown = Array.from({ length: invalidRecipients }, (_, i) => `RCPT TO:<nobody-${i}@example.org>`)
  return [
    ...plain,
    ...(unknown.length > 0 ? ['EHLO client.test', 'MAIL FROM:<>', ...unknown] : []),
    ...(attempt ? [noise] : []),
  ]
}

/**
 * `ends`: the session ends, with one more reply after that to the last command. `slows`: no such reply arrives for at
 * least a second. `nothing`: this command and the next one each get a reply. @returns that reply, unchanged
 */
export async function doWrong(
  wire: WireClient,
  facts: Case['facts'],
  then: 'ends' | 'slows' | 'nothing',
): Promise<string> {
  const lines = wrongsOf(facts)
  const last = lines.pop() ?? ''
  for (const line of lines) await wire.ask(line)
  wire.say(last)
  if (then === 'slows') {
    await sleep(1000)
    if (wire.pending > 0) throw new Error(`no reply was to come yet: ${(await wire.reply()).raw}`)
    return ''
  }
  await wire.reply()
  return then === 'ends' ? (await wire.reply()).raw : ''
}
