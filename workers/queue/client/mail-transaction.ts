import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Recipient } from '@postern/contract/envelope.ts'
import { waitingCauseOf } from '@postern/contract/waiting-causes.ts'
import type { RequireTls } from '../message/message.ts'
import type { Outcome } from '../message/outcome.ts'
import { release } from '../message/release.ts'
import type { Connection } from './connection.ts'
import { ConnectionFailure } from './connection-failure.ts'
import { DotStuffer, dotStuffed } from './dot-stuffing.ts'
import { maxTogether } from './limits-extension.ts'
import { type Reply, replyText } from './reply.ts'

/** One mail transaction: MAIL, RCPT for each recipient, DATA, body. Commands travel together where PIPELINING is offered. */

export type OutboundTransaction = {
  sender: string
  recipients: readonly Recipient[]
  bytes: number
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

/** What the remote answered for one recipient. */
export type RecipientAnswer =
  | Outcome
  /** Too many recipients after some were taken (RFC 5321 §4.5.3.1.10): ask again in the next transaction. */
  | { kind: 'again'; reply: string }
  /** The connection broke before the remote answered for this recipient. */
  | { kind: 'lost'; failure: ConnectionFailure }

/**
 * Carries out the transaction; the answer has one result a recipient, in order. A reply counts although the connection breaks
 * after it: who has none is `lost`.
 * Rejects with what `whole` or `stream` rejected with, after closing the connection without completing the message.
 */
export async function transact(
  connection: Connection,
  transaction: OutboundTransaction,
  { envelopeSent = false, next }: Pipelining = {},
): Promise<RecipientAnswer[]> {
  const unfit = envelopeSent ? undefined : unfitFor(connection, transaction)
  if (unfit) return transaction.recipients.map(() => unfit)
  connection.used++
  const answers = await envelopeAnswers(connection, transaction, envelopeSent)
  const { mail, rcpts, data } = answers
  if (mail?.code === 421) return transaction.recipients.map(() => lost(connection, mail))
  if (mail && !isTaken(mail)) {
    await reset(connection, data?.code === 354)
    return transaction.recipients.map(() => refused(mail, connection))
  }
  const taken = rcpts.filter(isTaken).length
  if (data?.code !== 354) {
    if (data && ![...rcpts, data].some(({ code }) => code === 421)) await reset(connection)
    return transaction.recipients.map((_, i) => withoutBody(rcpts[i], answers, { connection, taken }))
  }
  if (taken === 0) {
    await sendNothing(connection)
    return rcpts.map((reply) => refused(reply, connection))
  }
  connection.stage = 'body'
  // What is to be asked again comes first: then nothing follows yet.
  const follows = rcpts.some(isTooMany) ? undefined : next
  const ends = await endAnswers(connection, transaction, { follows, taken })
  let nextEnd = 0
  return rcpts.map((reply) => {
    if (!isTaken(reply)) return refusedOrAgain(reply, connection, taken)
    return afterBody(ends[connection.options.protocol === 'lmtp' ? nextEnd++ : 0], connection)
  })
}

/**
 * Transactions back to back: the envelope of the next message may travel in one group with the body of the one before
 * (RFC 2920 §3.1 allows exactly that), which halves the writes and saves a round trip a message.
 */
export type Pipelining = {
  /** The envelope is on its way already. */
  envelopeSent?: boolean
  /** Asked when the body goes: the transaction to begin with it. It must be carried out next on this connection. */
  next?: (() => OutboundTransaction | undefined) | undefined
}

/** Milliseconds: a server that lost what was sent ahead is silent; nothing is risked by asking again on a new connection. */
const pipelinedTimeoutMs = 60_000
/** As many recipients as an envelope that goes ahead may have. */
const maxAhead = 20

/** Whether an envelope may go ahead on this connection, and this one at that. */
export function canPipelineNext(connection: Connection): boolean {
  return connection.options.protocol === 'smtp' && connection.has('PIPELINING') && connection.used > 1
}

export function fitsAhead(connection: Connection, transaction: OutboundTransaction): boolean {
  return (
    transaction.recipients.length <= maxAhead &&
    maxTogether(connection, transaction.recipients) === transaction.recipients.length &&
    !isPaced(transaction) &&
    unfitFor(connection, transaction) === undefined
  )
}

/** Of a recipient of a transaction without a body: refused, or the connection broke, or DATA was refused. */
function withoutBody(
  reply: Reply | undefined,
  { data }: Answers,
  { connection, taken }: { connection: Connection; taken: number },
): RecipientAnswer {
  if (!reply || reply.code === 421) return lost(connection, reply)
  if (!isTaken(reply)) {
    const result = refusedOrAgain(reply, connection, taken)
    return result.kind === 'again' && !data ? lost(connection) : result
  }
  return !data || data.code === 421 ? lost(connection, data) : refused(data, connection)
}

function afterBody(end: Reply | undefined, connection: Connection): RecipientAnswer {
  if (!end) return lost(connection)
  return end.code < 300 ? delivered(end, connection) : refused(end, connection)
}

/** `reply`: 421, which is about the connection, whichever command it answers (RFC 5321 §3.8). */
function lost(connection: Connection, reply?: Reply): RecipientAnswer {
  const { failure, stage } = connection
  connection.destroy()
  if (failure && !reply) return { kind: 'lost', failure }
  return { kind: 'lost', failure: new ConnectionFailure(failure?.stage ?? stage, 'the remote ended it', reply) }
}

/** Sends the body and waits for the replies: fewer than expected when the connection breaks. */
async function endAnswers(
  connection: Connection,
  transaction: OutboundTransaction,
  { follows, taken }: { follows: Pipelining['next']; taken: number },
): Promise<Reply[]> {
  const isLmtp = connection.options.protocol === 'lmtp'
  let sent: Buffer | undefined
  try {
    sent = await sendBody(connection, transaction, follows)
  } catch (error) {
    if (!(error instanceof ConnectionFailure)) throw error
    // A server that refuses a message in the middle of it, and closes, has answered.
    const { reply } = error
    return reply && reply.code !== 421 && !isLmtp ? [reply] : []
  }
  connection.stage = 'end'
  const ends = await connection.repliesUntilFailure(isLmtp ? taken : 1, connection.options.timeouts.end)
  if (!connection.failure) connection.stage = 'mail'
  if (sent && connection.hasNothingToWrite) release(sent)
  return ends
}

/** A pipelining server must not say 354 where nobody was taken (RFC 2920 §3.1); one that does gets an empty message for nobody. */
async function sendNothing(connection: Connection): Promise<void> {
  connection.send(['.'])
  await connection.repliesUntilFailure(1, connection.options.timeouts.end)
}

function envelopeLines(connection: Connection, transaction: OutboundTransaction): string[] {
  return [mailLine(connection, transaction), ...transaction.recipients.map((to) => rcptLine(connection, to))]
}

function isPaced({ pauseMs, recipients }: OutboundTransaction): boolean {
  return pauseMs > 0 && recipients.length > 1
}

function isTaken(reply: Reply): boolean {
  return reply.code >= 200 && reply.code < 300
}

/** Replies to the envelope; an absent one was not asked for, or the connection broke before it. */
type Answers = { mail?: Reply; rcpts: Reply[]; data?: Reply }

function envelopeAnswers(
  connection: Connection,
  transaction: OutboundTransaction,
  envelopeSent: boolean,
): Promise<Answers> {
  if (envelopeSent) return answersAhead(connection, transaction)
  const lines = envelopeLines(connection, transaction)
  return connection.has('PIPELINING') && !isPaced(transaction)
    ? pipelined(connection, lines)
    : oneByOne(connection, lines, transaction.pauseMs)
}

async function answersAhead(connection: Connection, { recipients }: OutboundTransaction): Promise<Answers> {
  connection.stage = 'mail'
  const wait = Math.min(pipelinedTimeoutMs, connection.options.timeouts.command)
  return answersOf(await connection.repliesUntilFailure(recipients.length + 2, wait), recipients.length)
}

function answersOf([mail, ...rcpts]: Reply[], recipients: number): Answers {
  const data = rcpts.length > recipients ? rcpts.pop() : undefined
  return { rcpts, ...(mail ? { mail } : {}), ...(data ? { data } : {}) }
}

async function pipelined(connection: Connection, lines: string[]): Promise<Answers> {
  const { timeouts } = connection.options
  connection.stage = 'mail'
  const replies: Reply[] = []
  // Both sides filling their buffers would deadlock (RFC 2920 §3.1), so a long list goes in groups.
  for (let from = 0; from < lines.length && !connection.failure; from += 100) {
    const group = lines.slice(from, from + 100)
    const last = from + 100 >= lines.length
    connection.send(last ? [...group, 'DATA'] : group)
    replies.push(...(await connection.repliesUntilFailure(group.length + (last ? 1 : 0), timeouts.command)))
    if (replies[0] && !isTaken(replies[0])) break
  }
  return answersOf(replies, lines.length - 1)
}

/** Without PIPELINING: DATA is sent only when a recipient was accepted. */
async function oneByOne(connection: Connection, lines: string[], pauseMs: number): Promise<Answers> {
  const { timeouts } = connection.options
  const [mailCommand = '', ...rcptCommands] = lines
  const ask = async (line: string, ms: number): Promise<Reply | undefined> => {
    connection.send([line])
    return (await connection.repliesUntilFailure(1, ms))[0]
  }
  connection.stage = 'mail'
  const mail = await ask(mailCommand, timeouts.command)
  const rcpts: Reply[] = []
  if (!mail || !isTaken(mail)) return { rcpts, ...(mail ? { mail } : {}) }
  connection.stage = 'rcpt'
  for (const line of rcptCommands) {
    if (pauseMs > 0 && rcpts.length > 0) await sleep(pauseMs)
    const reply = await ask(line, timeouts.command)
    if (!reply) return { mail, rcpts }
    rcpts.push(reply)
  }
  if (!rcpts.some(isTaken)) {
    await reset(connection)
    return { mail, rcpts }
  }
  connection.stage = 'data'
  const data = await ask('DATA', timeouts.data)
  return { mail, rcpts, ...(data ? { data } : {}) }
}

/** After a refusal RSET leaves a clean session for the next message; a remote that waits for data all the same is left. */
async function reset(connection: Connection, waitsForData = false): Promise<void> {
  if (waitsForData || !connection.alive) return connection.destroy()
  try {
    const reply = await connection.command('RSET', connection.options.timeouts.command)
    if (reply.code !== 250) connection.quit()
  } catch {
    connection.destroy()
  }
}

/** Resolves with the message if it was sent whole: its memory is free when it has left. */
async function sendBody(
  connection: Connection,
  transaction: OutboundTransaction,
  next: Pipelining['next'],
): Promise<Buffer | undefined> {
  const { timeouts } = connection.options
  connection.bodies++
  try {
    if (transaction.body === 'whole') {
      const message = await transaction.whole()
      const parts = dotStuffed(message)
      const following = next?.()
      connection.options.dialogueLog?.sentMessage(transaction.bytes)
      if (following) {
        const lines = [...envelopeLines(connection, following), 'DATA']
        connection.options.dialogueLog?.sent(lines)
        parts.push(Buffer.from(`${lines.join('\r\n')}\r\n`))
      }
      connection.writeParts(parts)
      return message
    }
    connection.options.dialogueLog?.sentMessage(transaction.bytes)
    const source = transaction.stream()
    const stuffer = new DotStuffer()
    source.on('error', (error) => stuffer.destroy(error))
    source.pipe(stuffer)
    try {
      for await (const chunk of stuffer) {
        if (!connection.write(chunk as Buffer)) await connection.drained(timeouts.block)
      }
    } finally {
      // A remote that breaks off leaves a message half read.
      source.destroy()
    }
    return undefined
  } catch (error) {
    connection.destroy()
    throw error
  }
}

function mailLine(connection: Connection, transaction: OutboundTransaction): string {
  let line = `MAIL FROM:<${transaction.sender}>`
  if (connection.has('SIZE')) line += ` SIZE=${transaction.bytes}`
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
    [...Buffer.from(character)].map((byte) => `+${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

function passesOnRequireTls(connection: Connection): boolean {
  return connection.verified && connection.options.protocol === 'smtp' && connection.has('REQUIRETLS')
}

/** The cause of a result that another host of the domain may better. */
export const noRequireTls = 'no-requiretls'

/** What is known before asking. What can be made fit was made fit before. */
function unfitFor(connection: Connection, transaction: OutboundTransaction): RecipientAnswer | undefined {
  const { host } = connection.options.peer
  if (
    transaction.requireTls === 'required' &&
    connection.options.protocol === 'smtp' &&
    !passesOnRequireTls(connection)
  ) {
    const reply = `${host} does not offer REQUIRETLS, which the sender asked for`
    return { kind: 'bounced', status: '5.7.30', reply, cause: noRequireTls }
  }
  if (transaction.smtpUtf8 && !connection.has('SMTPUTF8')) {
    const reply = `${host} does not offer SMTPUTF8, which this message needs`
    return { kind: 'bounced', status: '5.6.7', reply, cause: 'no-smtputf8' }
  }
  const limit = Number(connection.extensions.get('SIZE') || 0)
  if (limit > 0 && transaction.bytes > limit) {
    const reply = `the message has ${transaction.bytes} bytes, ${host} takes ${limit}`
    return { kind: 'bounced', status: '5.3.4', reply, cause: 'too-large-for-remote' }
  }
  return undefined
}

function delivered(reply: Reply, connection: Connection): RecipientAnswer {
  const dsnPassedOn = connection.has('DSN')
  return { kind: 'delivered', status: reply.enhanced ?? '2.0.0', reply: replyText(reply), dsnPassedOn }
}

/**
 * More recipients than one transaction may have: 452, or 552 as RFC 821 had it (RFC 5321 §4.5.3.1.10), or whatever says X.5.3
 * (RFC 3463 §3.6). Another enhanced code of a 552, as 5.2.2, is about the mailbox.
 */
function isTooMany({ code, enhanced }: Reply): boolean {
  return code === 452 || (code === 552 && !enhanced) || (code >= 400 && enhanced?.slice(1) === '.5.3')
}

function refusedOrAgain(reply: Reply, connection: Connection, taken: number): RecipientAnswer {
  if (!isTooMany(reply) || reply.code === 421) return refused(reply, connection)
  const text = replyText(reply)
  if (taken > 0) return { kind: 'again', reply: text }
  // It has enough of us for now: RFC 5321 §4.5.3.1.10 calls this temporary, whatever the code's first digit.
  if (reply.code === 552 && reply.enhanced) return refusedForNow('4.5.3', text)
  return refused(reply, connection)
}

function refused(reply: Reply, connection: Connection): RecipientAnswer {
  // 421 is about the connection (RFC 5321 §3.8), whatever it answers.
  if (reply.code === 421) connection.destroy()
  const text = replyText(reply)
  if (reply.code >= 500) return { kind: 'bounced', status: reply.enhanced ?? '5.0.0', reply: text, cause: 'refused' }
  // 2xx or 3xx in the wrong place is no promise either.
  return refusedForNow(reply.enhanced ?? '4.0.0', text)
}

/** Its cause is the one that the queue page shows for this reply. */
function refusedForNow(status: string, reply: string): RecipientAnswer {
  return { kind: 'deferred', status, reply, cause: waitingCauseOf({ cause: 'refused-for-now', reply }) }
}
