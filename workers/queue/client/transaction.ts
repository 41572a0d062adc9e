import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Recipient } from '@postern/contract/envelope.ts'
import type { Connection } from './connection.ts'
import { type Reply, replyText } from './reply.ts'
import { DotStuffer, stuffed } from './stuff.ts'

/** One mail transaction: MAIL, RCPT for each recipient, DATA, body. Commands travel together where PIPELINING is offered. */

export type Transaction = {
  sender: string
  recipients: readonly Recipient[]
  octets: number
  body: 'whole' | 'stream'
  /** Asked for only when the remote wants the message; rejects when it cannot be read. */
  whole(): Promise<Buffer>
  stream(): Readable
  eightBit: boolean
  smtpUtf8: boolean
  requireTls: RequireTls
  /** Milliseconds between two recipients; 0: they go out together. */
  pauseMs: number
  ret?: 'full' | 'hdrs'
  envid?: string
}

/**
 * RFC 8689. `demanded`: over TLS that was verified, to a server that says it will pass that on, or not at all (§4.2.1).
 * `wished`: so where it can be, because nobody could be told of a failure (§5).
 */
export type RequireTls = 'no' | 'wished' | 'demanded'

/** What became of one recipient. `status` is the remote's enhanced code, or ours where it sent none. */
export type Result =
  | { kind: 'delivered'; status: string; reply: string; dsnPassedOn: boolean }
  /** `notBefore`: when the remote wants to be asked again, in milliseconds since the epoch. */
  | { kind: 'deferred'; status: string; reply: string; cause: string; notBefore?: number }
  | { kind: 'bounced'; status: string; reply: string; cause: string }
  /** 452 after some were taken (RFC 5321 §4.5.3.1.10): ask again in the next transaction. */
  | { kind: 'again'; reply: string }

/**
 * Carries out the transaction; the answer has one result a recipient, in order.
 * Rejects with ConnectionFailure when the connection broke: nothing is known then but `accepted` of the end of data.
 * Rejects with what `whole` or `stream` rejected with, after closing the connection without completing the message.
 */
export async function transact(
  connection: Connection,
  transaction: Transaction,
  { begun = false, next }: Follow = {},
): Promise<Result[]> {
  const unfit = begun ? undefined : unfitFor(connection, transaction)
  if (unfit) return transaction.recipients.map(() => unfit)
  const { patience } = connection.dial
  connection.used++
  const lines = begun ? [] : envelopeLines(connection, transaction)
  const { mail, rcpts, data } = begun
    ? await answersTo(connection, transaction)
    : connection.has('PIPELINING') && !isPaced(transaction)
      ? await pipelined(connection, lines)
      : await oneByOne(connection, lines, transaction.pauseMs)
  if (!isTaken(mail)) {
    await reset(connection, data?.code === 354)
    return transaction.recipients.map(() => refused(mail, connection))
  }
  const taken = rcpts.filter(isTaken).length
  if (data?.code !== 354) {
    if (data) await reset(connection)
    return rcpts.map((reply) =>
      isTaken(reply) && data ? refused(data, connection) : refusedOrAgain(reply, connection, taken),
    )
  }
  if (taken === 0) {
    // A pipelining server must not say 354 here (RFC 2920 §3.1); one that does gets an empty message for nobody.
    await connection.command('.', patience.end)
    return rcpts.map((reply) => refused(reply, connection))
  }
  connection.stage = 'body'
  // What is to be asked again comes first: then nothing follows yet.
  const follows = rcpts.every((reply) => reply.code !== 452 && reply.code !== 552) ? next : undefined
  await sendBody(connection, transaction, follows)
  connection.stage = 'end'
  const ends = await connection.replies(connection.dial.protocol === 'lmtp' ? taken : 1, patience.end)
  connection.stage = 'mail'
  let place = 0
  return rcpts.map((reply) => {
    if (!isTaken(reply)) return refusedOrAgain(reply, connection, taken)
    const end = (connection.dial.protocol === 'lmtp' ? ends[place++] : ends[0]) as Reply
    return end.code < 300 ? delivered(end, connection) : refused(end, connection)
  })
}

/**
 * Transactions back to back: the envelope of the next message may travel in one group with the body of the one before
 * (RFC 2920 §3.1 allows exactly that), which halves the writes and saves a round trip a message.
 */
export type Follow = {
  /** The envelope is on its way already. */
  begun?: boolean
  /** Asked when the body goes: the transaction to begin with it. It must be carried out next on this connection. */
  next?: (() => Transaction | undefined) | undefined
}

/** Milliseconds: a server that lost what was sent ahead is silent; nothing is risked by asking again on a new connection. */
const patienceAhead = 60_000
/** As many recipients as an envelope that goes ahead may have. */
const mostAhead = 20

/** Whether an envelope may go ahead on this connection, and this one at that. */
export function mayFollow(connection: Connection): boolean {
  return connection.dial.protocol === 'smtp' && connection.has('PIPELINING') && connection.used > 1
}

export function fitsAhead(connection: Connection, transaction: Transaction): boolean {
  return (
    transaction.recipients.length <= mostAhead &&
    !isPaced(transaction) &&
    unfitFor(connection, transaction) === undefined
  )
}

async function answersTo(connection: Connection, { recipients }: Transaction): Promise<Answers> {
  connection.stage = 'mail'
  const replies = await connection.replies(
    recipients.length + 2,
    Math.min(patienceAhead, connection.dial.patience.command),
  )
  const [mail, ...rcpts] = replies as [Reply, ...Reply[]]
  const data = rcpts.pop() as Reply
  return { mail, rcpts, data }
}

function envelopeLines(connection: Connection, transaction: Transaction): string[] {
  return [mailLine(connection, transaction), ...transaction.recipients.map((to) => rcptLine(connection, to))]
}

function isPaced({ pauseMs, recipients }: Transaction): boolean {
  return pauseMs > 0 && recipients.length > 1
}

function isTaken(reply: Reply): boolean {
  return reply.code >= 200 && reply.code < 300
}

/** Replies to the envelope. `data` is absent when DATA was not said. */
type Answers = { mail: Reply; rcpts: Reply[]; data?: Reply }

async function pipelined(connection: Connection, lines: string[]): Promise<Answers> {
  const { patience } = connection.dial
  connection.stage = 'mail'
  const replies: Reply[] = []
  // Both sides filling their buffers would deadlock (RFC 2920 §3.1), so a long list goes in groups.
  for (let from = 0; from < lines.length; from += 100) {
    const group = lines.slice(from, from + 100)
    const last = from + 100 >= lines.length
    connection.say(last ? [...group, 'DATA'] : group)
    replies.push(...(await connection.replies(group.length + (last ? 1 : 0), patience.command)))
    if (!isTaken(replies[0] as Reply)) break
  }
  const [mail, ...rcpts] = replies as [Reply, ...Reply[]]
  const data = replies.length > lines.length ? rcpts.pop() : undefined
  return { mail, rcpts, ...(data ? { data } : {}) }
}

/** Without PIPELINING: DATA is said only when a recipient was taken. */
async function oneByOne(connection: Connection, lines: string[], pauseMs: number): Promise<Answers> {
  const { patience } = connection.dial
  const [mailCommand = '', ...rcptCommands] = lines
  connection.stage = 'mail'
  const mail = await connection.command(mailCommand, patience.command)
  const rcpts: Reply[] = []
  if (!isTaken(mail)) return { mail, rcpts }
  connection.stage = 'rcpt'
  for (const line of rcptCommands) {
    if (pauseMs > 0 && rcpts.length > 0) await sleep(pauseMs)
    rcpts.push(await connection.command(line, patience.command))
  }
  connection.stage = 'data'
  if (rcpts.some(isTaken)) return { mail, rcpts, data: await connection.command('DATA', patience.data) }
  await reset(connection)
  return { mail, rcpts }
}

/** After a refusal RSET leaves a clean session for the next message; a remote that waits for data all the same is left. */
async function reset(connection: Connection, waitsForData = false): Promise<void> {
  if (waitsForData || !connection.alive) return connection.destroy()
  try {
    const reply = await connection.command('RSET', connection.dial.patience.command)
    if (reply.code !== 250) connection.quit()
  } catch {
    connection.destroy()
  }
}

async function sendBody(connection: Connection, transaction: Transaction, next: Follow['next']): Promise<void> {
  const { patience } = connection.dial
  try {
    if (transaction.body === 'whole') {
      const parts = stuffed(await transaction.whole())
      const following = next?.()
      connection.dial.tap?.sentMessage(transaction.octets)
      if (following) {
        const lines = [...envelopeLines(connection, following), 'DATA']
        connection.dial.tap?.said(lines)
        parts.push(Buffer.from(`${lines.join('\r\n')}\r\n`))
      }
      connection.writeParts(parts)
      return
    }
    connection.dial.tap?.sentMessage(transaction.octets)
    const source = transaction.stream()
    const stuffer = new DotStuffer()
    source.on('error', (error) => stuffer.destroy(error))
    source.pipe(stuffer)
    for await (const chunk of stuffer) {
      connection.expectWithin(patience.block)
      if (!connection.write(chunk as Buffer)) await connection.drained()
    }
  } catch (error) {
    connection.destroy()
    throw error
  }
}

function mailLine(connection: Connection, transaction: Transaction): string {
  let line = `MAIL FROM:<${transaction.sender}>`
  if (connection.has('SIZE')) line += ` SIZE=${transaction.octets}`
  if (transaction.eightBit && connection.has('8BITMIME')) line += ' BODY=8BITMIME'
  if (transaction.smtpUtf8) line += ' SMTPUTF8'
  if (transaction.requireTls !== 'no' && passesOnRequireTls(connection)) line += ' REQUIRETLS'
  if (connection.has('DSN')) {
    if (transaction.ret) line += ` RET=${transaction.ret.toUpperCase()}`
    if (transaction.envid) line += ` ENVID=${xtext(transaction.envid)}`
  }
  return line
}

function rcptLine(connection: Connection, to: Recipient): string {
  let line = `RCPT TO:<${to.address}>`
  if (!connection.has('DSN')) return line
  if (to.notify?.length) line += ` NOTIFY=${to.notify.map((word) => word.toUpperCase()).join(',')}`
  if (to.orcpt) line += ` ORCPT=${orcpt(to.orcpt)}`
  return line
}

/** `rfc822;address`, the address as xtext (RFC 3461 §4.2); the type stays as it is. */
function orcpt(text: string): string {
  const [type, ...address] = text.includes(';') ? text.split(';') : ['rfc822', text]
  return `${type};${xtext(address.join(';'))}`
}

/** RFC 3461 §4. */
export function xtext(text: string): string {
  return text.replace(/[^\x21-\x2a\x2c-\x3c\x3e-\x7e]/g, (character) =>
    [...Buffer.from(character)].map((octet) => `+${octet.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

function passesOnRequireTls(connection: Connection): boolean {
  return connection.proved && connection.dial.protocol === 'smtp' && connection.has('REQUIRETLS')
}

/** The cause of a result that another host of the domain may better. */
export const noRequireTls = 'no-requiretls'

/** What is known before asking. What can be made fit was made fit before. */
function unfitFor(connection: Connection, transaction: Transaction): Result | undefined {
  const { host } = connection.dial.peer
  if (transaction.requireTls === 'demanded' && connection.dial.protocol === 'smtp' && !passesOnRequireTls(connection)) {
    const reply = `${host} does not offer REQUIRETLS, which the sender asked for`
    return { kind: 'bounced', status: '5.7.30', reply, cause: noRequireTls }
  }
  if (transaction.smtpUtf8 && !connection.has('SMTPUTF8')) {
    const reply = `${host} does not offer SMTPUTF8, which this message needs`
    return { kind: 'bounced', status: '5.6.7', reply, cause: 'no-smtputf8' }
  }
  const limit = Number(connection.extensions.get('SIZE') || 0)
  if (limit > 0 && transaction.octets > limit) {
    const reply = `the message has ${transaction.octets} octets, ${host} takes ${limit}`
    return { kind: 'bounced', status: '5.3.4', reply, cause: 'too-large-for-remote' }
  }
  return undefined
}

function delivered(reply: Reply, connection: Connection): Result {
  const dsnPassedOn = connection.has('DSN')
  return { kind: 'delivered', status: reply.enhanced ?? '2.0.0', reply: replyText(reply), dsnPassedOn }
}

function refusedOrAgain(reply: Reply, connection: Connection, taken: number): Result {
  const full = reply.code === 452 || (reply.code === 552 && !reply.enhanced)
  return full && taken > 0 ? { kind: 'again', reply: replyText(reply) } : refused(reply, connection)
}

function refused(reply: Reply, connection: Connection): Result {
  // 421 is about the connection (RFC 5321 §3.8), whatever it answers.
  if (reply.code === 421) connection.destroy()
  const text = replyText(reply)
  if (reply.code >= 500) return { kind: 'bounced', status: reply.enhanced ?? '5.0.0', reply: text, cause: 'refused' }
  // 2xx or 3xx in the wrong place is no promise either.
  return { kind: 'deferred', status: reply.enhanced ?? '4.0.0', reply: text, cause: 'refused-for-now' }
}
