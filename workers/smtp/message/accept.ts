import type { ApplicationQuestion } from '@postern/contract/application.ts'
import type { Envelope, Recipient } from '@postern/contract/envelope.ts'
import type { DataFacts, SessionFacts } from '@postern/contract/facts.ts'
import type { Lookups } from '@postern/contract/lookups.ts'
import type { ReplyName } from '@postern/contract/replies.ts'
import type { DataVerdict, ReplyValues, Treatment, Verdict } from '@postern/contract/verdict.ts'
import { decideData } from '@postern/policy/decide.ts'
import { isOurs } from '@postern/policy/login.ts'
import { isAscii } from '@postern/policy/path.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { SpoolFull } from '@postern/spool/spool.ts'
import { V7Generator } from 'uuidv7'
import { askAboutMessage, authenticationFor } from '../lookups/message.ts'
import { clientRecord, printable, verdictRecord } from '../record/event-fields.ts'
import { hostName, type ReceiverContext, type SessionContext } from '../session/context.ts'
import { wireReply } from '../session/reply-text.ts'
import type { Transaction } from '../session/transaction.ts'
import { MessageBody } from './body.ts'
import { type Header, missingFields, receivedField } from './header.ts'

/** The end of data: decide, make durable, answer. The 250 is written after the spool has said that the message will survive. */

const random = new Uint32Array(1024)
let randomUsed = random.length
/** Asking for random octets costs a system call: it is done for hundreds of messages at a time. */
const ids = new V7Generator({
  nextUint32: () => {
    if (randomUsed === random.length) {
      crypto.getRandomValues(random)
      randomUsed = 0
    }
    return random[randomUsed++] as number
  },
})

/** What is larger than the limit is not kept, unless the rule about it is only watched. `stuffed`: as after DATA. */
export function newBody({ spool }: ReceiverContext, { policy, facts }: Transaction, stuffed: boolean): MessageBody {
  return new MessageBody(spool, { limit: octetsKept(policy), stuffed, submitted: isSubmitted(facts) })
}

/** A person or a program hands it in (RFC 6409): by login, at the submission ports, or through the API. */
function isSubmitted({ listener, login }: Pick<SessionFacts, 'listener' | 'login'>): boolean {
  return listener !== 'smtp' || login !== undefined
}

export function octetsKept({ settings, watched }: Policy): number {
  const { maxMessageBytes } = settings.general
  return maxMessageBytes === 0 || watched.has('message-size') ? Number.POSITIVE_INFINITY : maxMessageBytes
}

/**
 * Looks at a message of which more chunks (RFC 3030) are to come: what is wrong already is answered already.
 * @returns whether the transaction goes on, is over, or ends the connection with it
 */
export function judgeSoFar(
  session: SessionContext,
  transaction: Transaction,
  body: MessageBody,
): 'on' | 'over' | 'close' {
  if (!body.suspect) return 'on'
  const { failure, size } = body
  if (failure) {
    notStored(session, transaction, { error: failure, size })
    return 'over'
  }
  const verdict = decideData(dataFacts(transaction, body, { hops: 0 }), transaction.policy)
  const { outcome } = verdict
  if (outcome.kind !== 'refuse') return 'on'
  refuse(session, transaction, { verdict, size, reply: outcome.reply, values: outcome.values })
  return outcome.close || isDoubtful(body, transaction) ? 'close' : 'over'
}

/** Whatever it was refused for: where a message with bare line ends ends is a matter of opinion, so what follows is not read. */
function isDoubtful({ bareLineFeeds }: MessageBody, { policy }: Transaction): boolean {
  return bareLineFeeds && policy.settings.advanced.bareLineFeeds === 'reject'
}

function dataFacts(transaction: Transaction, body: AtEnd['body'], { hops }: Pick<Header, 'hops'>): DataFacts {
  const { size, bareLineFeeds, nulOctets } = body
  const recipients = transaction.recipients.length
  return { ...transaction.facts, now: Date.now(), recipients, size, bareLineFeeds, nulOctets, hops }
}

/** Answers the message. @returns whether the connection ends with the answer */
export async function acceptMessage(
  session: SessionContext,
  transaction: Transaction,
  body: MessageBody,
): Promise<boolean> {
  const header = body.header()
  const id = ids.generate().toString()
  const { verdict, facts } = await judge(session, transaction, { body, header, id })
  session.watch(verdict)
  const { outcome } = verdict
  if (outcome.kind === 'refuse') {
    body.drop()
    refuse(session, transaction, { verdict, size: body.size, reply: outcome.reply, values: outcome.values })
    // Where line ends are rewritten a false end is text, and no attempt.
    const isAttempt = body.smuggling && session.attempted('smuggling', 'a command after a false end of data')
    return outcome.close || isDoubtful(body, transaction) || isAttempt
  }
  transaction.passed(verdict)
  const { receiver } = session
  const { size } = body
  const treatment = together(verdict.treatments)
  const envelope = envelopeOf(session, transaction, { id, facts, header, treatment })
  try {
    await body.store(envelope, prefixOf(session, transaction, { envelope, header, treatment }))
  } catch (error) {
    body.drop()
    notStored(session, transaction, { error, size })
    return false
  }
  receiver.counters.messages_accepted_total++
  receiver.counters.octets_accepted_total += size
  receiver.counters.recipients_accepted_total += envelope.recipients.length
  // Its way to disk is not waited for: when this process is killed first, the next one records it from the spool.
  tellAccepted(session, transaction, { envelope, header, size })
  const { found } = envelope.authentication ?? {}
  if (found) receiver.record('message.authenticated', { messageId: envelope.id, ...found })
  session.reply('accepted', { id: envelope.id })
  return false
}

/** What is known of a message at its end. */
type AtEnd = {
  body: Pick<MessageBody, 'size' | 'bareLineFeeds' | 'nulOctets' | 'read'>
  header: Header
  id: string
}

/** The delivery application is asked last, and only about what nothing else is against. */
export async function judge(
  { receiver, recorder }: Pick<SessionContext, 'receiver'> & Partial<Pick<SessionContext, 'recorder'>>,
  transaction: Transaction,
  { body, header, id }: AtEnd,
): Promise<{ verdict: DataVerdict; facts: DataFacts }> {
  const { policy } = transaction
  const { lookupClients, machine } = receiver
  let facts = dataFacts(transaction, body, header)
  let verdict = decideData(facts, policy)
  const again = (heard: Lookups) => {
    facts = { ...facts, lookups: { ...facts.lookups, ...heard } }
    verdict = decideData(facts, policy)
  }
  const asked = askAboutMessage(facts, { verdict, body, lookupClients, policy })
  if (asked) again(await asked)
  const setting = policy.settings.advanced.deliveryApplication
  if (setting !== 'off' && verdict.outcome.kind === 'proceed') {
    const question = questionOf(facts, transaction, { id, at: facts.now, server: hostName(policy, machine) })
    again(await lookupClients.application.ask(setting, { question, body: () => body.read() }))
  }
  recorder?.data(facts)
  return { verdict, facts }
}

function questionOf(
  { ip, helo = '', listener, login, tls, size, lookups = {} }: DataFacts,
  { sender, recipients, policy }: Transaction,
  { id, at, server }: { id: string; at: number; server: string },
): ApplicationQuestion {
  return {
    id,
    receivedAt: new Date(at).toISOString(),
    server,
    revision: policy.revision,
    sender,
    recipients: recipients.map(({ address, original }) => ({ address, original })),
    size,
    client: {
      ip,
      helo,
      listener,
      ...(login === undefined ? {} : { login }),
      ...(tls ? { tls: { version: tls.version, cipher: tls.cipher } } : {}),
    },
    lookups,
  }
}

/** What the rules of the end of data want done with the message, as one. */
type Wanted = { hold?: string; headers: string; redirect?: readonly Recipient[] }

export function together(treatments: readonly Treatment[]): Wanted {
  const wanted: Wanted = { headers: '' }
  for (const { hold, headers = [], redirect } of treatments) {
    if (hold !== undefined) wanted.hold = wanted.hold === undefined ? hold : `${wanted.hold}; ${hold}`.slice(0, 200)
    for (const { name, value } of headers) wanted.headers += `${name}: ${value}\r\n`
    if (redirect) wanted.redirect = redirect
  }
  return wanted
}

/** Whoever gets it instead got it because of the first recipient; what that one's sender wanted to be told stays. */
export function redirected(redirect: readonly Recipient[], [first]: readonly Recipient[]): Recipient[] {
  const { original, orcpt, notify } = first as Recipient
  return redirect.map((to) => ({ ...to, original, ...(orcpt ? { orcpt } : {}), ...(notify ? { notify } : {}) }))
}

type Ending = { id: string; facts: DataFacts; header: Header; treatment: Wanted }

function envelopeOf(
  { receiver, facts }: SessionContext,
  { policy, sender, recipients, promised, facts: { smtpUtf8 } }: Transaction,
  { id, facts: atEnd, header, treatment: { hold, redirect } }: Ending,
): Envelope {
  const { ip, helo = '', login, tls } = facts
  const authentication = authenticationFor(atEnd, header, policy)
  return {
    id,
    receivedAt: atEnd.now,
    worker: receiver.id,
    revision: policy.revision,
    origin: 'smtp',
    sender,
    recipients: redirect ? redirected(redirect, recipients) : recipients,
    ...promised,
    // An alias may lead to an address that needs it, whatever the client asked for.
    smtpUtf8: smtpUtf8 || recipients.some(({ address }) => !isAscii(address)),
    hops: header.hops,
    client: {
      ip,
      helo,
      ...(login === undefined ? {} : { login }),
      ...(tls ? { tls: { version: tls.version, cipher: tls.cipher } } : {}),
    },
    ...(authentication ? { authentication } : {}),
    ...(hold === undefined ? {} : { hold }),
  }
}

function prefixOf(
  { receiver, facts, extended }: SessionContext,
  { policy, rcptAccepted, recipients, facts: { smtpUtf8 } }: Transaction,
  { envelope, header, treatment }: { envelope: Envelope; header: Header; treatment: Wanted },
): Buffer {
  const { id, receivedAt: at } = envelope
  const hostname = hostName(policy, receiver.machine)
  const onlyRecipient = rcptAccepted === 1 ? recipients[0]?.original : undefined
  const received = receivedField({ facts, extended, smtpUtf8, hostname, id, at, onlyRecipient })
  // RFC 6409 §8. Clients of the relay list hand in what they write, at port 25 as well; what strangers send is theirs.
  const lacks = !header.hasDate || !header.hasMessageId
  const missing =
    lacks && (isSubmitted(facts) || isOurs(policy, facts)) ? missingFields(header, { id, at, hostname }) : ''
  return Buffer.from(received + treatment.headers + missing + header.before, 'latin1')
}

function tellAccepted(
  { receiver, facts, marks: { connect, hello, auth } }: SessionContext,
  { sender, rules, policy }: Transaction,
  { envelope, header, size }: { envelope: Envelope; header: Header; size: number },
): void {
  receiver.record('message.accepted', {
    messageId: envelope.id,
    origin: 'smtp',
    client: clientRecord(facts),
    sender,
    recipients: envelope.recipients.map(({ address, original }) => ({ address, original: printable(original) })),
    size,
    ...(header.subject === undefined ? {} : { subject: header.subject }),
    revision: policy.revision,
    rules: connect.length + hello.length + auth.length === 0 ? rules : [...connect, ...hello, ...auth, ...rules],
    ...(envelope.hold === undefined ? {} : { held: printable(envelope.hold) }),
  })
}

function refuse(
  session: SessionContext,
  transaction: Transaction,
  {
    verdict,
    size,
    reply,
    values,
  }: { verdict: Verdict; size: number; reply: ReplyName; values?: ReplyValues | undefined },
): void {
  const text = wireReply(reply, values)
  session.write(text)
  session.receiver.counters.messages_refused_total++
  session.receiver.record('message.refused', {
    client: clientRecord(session.facts),
    sender: transaction.sender,
    recipients: transaction.recipients.map(({ address }) => address),
    size,
    verdict: verdictRecord(verdict, text),
  })
}

/** The client keeps the message and tries again; what went wrong is in the event. */
function notStored(
  session: SessionContext,
  transaction: Transaction,
  { error, size }: { error: unknown; size: number },
): void {
  const full = error instanceof SpoolFull
  if (full) session.receiver.spoolFull()
  const verdict: Verdict = {
    stage: 'data',
    outcome: { kind: 'refuse', reply: full ? 'spoolFull' : 'internalError', close: false },
    rule: 'spool-space',
    reason: full ? 'storage-full' : 'internal-error',
    revision: transaction.policy.revision,
    explanation: [error instanceof Error ? error.message : String(error)],
    trail: [{ rule: 'spool-space', said: 'decided' }],
  }
  refuse(session, transaction, { verdict, size, reply: full ? 'spoolFull' : 'internalError' })
}
