import type { Envelope } from '@postern/contract/envelope.ts'
import type { DataFacts, SessionFacts } from '@postern/contract/facts.ts'
import { hostNameOf } from '@postern/contract/host-name.ts'
import type { DataVerdict, Verdict } from '@postern/contract/verdict.ts'
import { decideData } from '@postern/policy/decide.ts'
import { isOurs } from '@postern/policy/login.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import { SpoolFull, type SpoolWriter } from '@postern/spool/spool.ts'
import { V7Generator } from 'uuidv7'
import { decide } from '../lookups/decide.ts'
import type { LookupClients } from '../lookups/lookup-clients.ts'
import type { Counters } from '../record/counters.ts'
import { acceptedRecord } from '../record/event-fields.ts'
import { MessageBody } from './body.ts'
import { authenticationFor, envelopeOf, type Handling, handlingOf, questionOf } from './envelope.ts'
import { type Header, missingFields, receivedField } from './header.ts'
import type { Transaction } from './transaction.ts'

/** The end of data: decide, make durable, and say what the client is answered. `accepted` means: the message is on disk. */

/** What a message needs of the receiver. */
export type MessageReceiver = {
  readonly id: string
  readonly machine: string
  readonly spool: SpoolWriter
  readonly record: RecordEvent
  readonly counters: Counters
  readonly lookupClients: LookupClients
  /** Reports a full spool, at most once a minute. */
  spoolFull(): void
}

export type MessageOutcome =
  | { kind: 'accepted'; id: string }
  /** `close`: the connection ends with the answer. `smuggling`: a command followed a false end of data. */
  | { kind: 'refused'; verdict: Verdict; close: boolean; smuggling: boolean }

const random = new Uint32Array(1024)
let randomUsed = random.length
/** Asking for random bytes costs a system call: it is done for hundreds of messages at a time. */
const ids = new V7Generator({
  nextUint32: () => {
    if (randomUsed === random.length) {
      crypto.getRandomValues(random)
      randomUsed = 0
    }
    return random[randomUsed++] as number
  },
})

/** A message above the limit is not kept, unless the rule about it is only watched. `stuffed`: as after DATA. */
export function newBody(
  { spool }: Pick<MessageReceiver, 'spool'>,
  { policy, facts }: Transaction,
  stuffed: boolean,
): MessageBody {
  return new MessageBody(spool, { limit: maxKeptBytes(policy), stuffed, submitted: isSubmitted(facts) })
}

/** A person or a program submits it (RFC 6409): with a login, at the submission ports, or through the API. */
function isSubmitted({ listener, login }: Pick<SessionFacts, 'listener' | 'login'>): boolean {
  return listener !== 'smtp' || login !== undefined
}

export function maxKeptBytes({ settings, watched }: Policy): number {
  const { maxMessageBytes } = settings.general
  return maxMessageBytes === 0 || watched.has('message-size') ? Number.POSITIVE_INFINITY : maxMessageBytes
}

/**
 * Looks at a message of which more chunks (RFC 3030) are to come: what is wrong already is answered already.
 * @returns the refusal; `undefined`: the transaction goes on
 */
export function refusalSoFar(
  receiver: MessageReceiver,
  transaction: Transaction,
  body: MessageBody,
): (MessageOutcome & { kind: 'refused' }) | undefined {
  if (!body.suspect) return undefined
  if (body.failure) return notStored(receiver, transaction, body.failure)
  const verdict = decideData(dataFacts(transaction, body, { hops: 0 }), transaction.policy)
  const { outcome } = verdict
  if (outcome.kind !== 'refuse') return undefined
  return { kind: 'refused', verdict, close: outcome.close || hasDoubtfulEnd(body, transaction), smuggling: false }
}

/** A message with bare line ends ends at different places for different servers: what follows it is not read. */
function hasDoubtfulEnd({ bareLineFeeds }: MessageBody, { policy }: Transaction): boolean {
  return bareLineFeeds && policy.settings.advanced.bareLineFeeds === 'reject'
}

function dataFacts(
  transaction: Transaction,
  { size, bareLineFeeds, nulOctets }: Pick<MessageBody, 'size' | 'bareLineFeeds' | 'nulOctets'>,
  { hops }: Pick<Header, 'hops'>,
): DataFacts {
  const recipients = transaction.recipients.length
  return { ...transaction.facts, now: Date.now(), recipients, size, bareLineFeeds, nulOctets, hops }
}

export type Acceptance = {
  receiver: MessageReceiver
  /** As known now, for the trace. */
  facts: SessionFacts
  /** EHLO was said, not HELO. */
  extended: boolean
  /** What watched and marking rules noted about the session. */
  sessionRules(): readonly string[]
  /** Sees what the last decision was about, before anything comes of it. */
  decided(facts: DataFacts, verdict: DataVerdict): void
}

export async function acceptMessage(
  { receiver, facts, extended, sessionRules, decided }: Acceptance,
  transaction: Transaction,
  body: MessageBody,
): Promise<MessageOutcome> {
  const { policy } = transaction
  const header = body.header()
  const id = ids.generate().toString()
  const { verdict, facts: atEnd } = await judge(receiver, transaction, { body, header, id })
  decided(atEnd, verdict)
  const { outcome } = verdict
  if (outcome.kind === 'refuse') {
    body.drop()
    // Where line ends are rewritten a false end is text, and no attempt.
    const { smuggling } = body
    return { kind: 'refused', verdict, close: outcome.close || hasDoubtfulEnd(body, transaction), smuggling }
  }
  transaction.passed(verdict)
  const handling = handlingOf(verdict.treatments)
  const authentication = authenticationFor(atEnd, header, policy)
  const envelope = envelopeOf(transaction, {
    id,
    worker: receiver.id,
    origin: 'smtp',
    receivedAt: atEnd.now,
    smtpUtf8: transaction.facts.smtpUtf8,
    header,
    handling,
    authentication,
  })
  const hostname = hostNameOf(policy.settings.general.hostname, receiver.machine)
  const prefix = prefixOf(transaction, { facts, extended, hostname, envelope, header, handling })
  const rules = () => {
    const ofSession = sessionRules()
    return ofSession.length === 0 ? transaction.rules : [...ofSession, ...transaction.rules]
  }
  try {
    await storeMessage(receiver, body, { envelope, prefix, rules })
  } catch (error) {
    body.drop()
    return notStored(receiver, transaction, error)
  }
  const { found } = authentication ?? {}
  if (found) receiver.record('message.authenticated', { messageId: id, ...found })
  return { kind: 'accepted', id }
}

type AtEnd = {
  body: Pick<MessageBody, 'size' | 'bareLineFeeds' | 'nulOctets' | 'read'>
  header: Header
  id: string
}

/** The last decision about a message, after every look-up it needs. */
export function judge(
  { lookupClients, machine }: Pick<MessageReceiver, 'lookupClients' | 'machine'>,
  transaction: Transaction,
  { body, header, id }: AtEnd,
): Promise<{ verdict: DataVerdict; facts: DataFacts }> | { verdict: DataVerdict; facts: DataFacts } {
  const server = hostNameOf(transaction.policy.settings.general.hostname, machine)
  const question = (facts: DataFacts) => questionOf(facts, transaction, { id, server })
  const settled = (facts: DataFacts, verdict: DataVerdict) => ({ verdict, facts })
  const message = { read: () => body.read(), question }
  // Without `again` there is always a decision.
  return decide('data', dataFacts(transaction, body, header), {
    under: transaction,
    clients: lookupClients,
    message,
    settled,
  }) as ReturnType<typeof judge>
}

type PrefixOptions = {
  facts: SessionFacts
  extended: boolean
  hostname: string
  envelope: Envelope
  header: Header
  handling: Handling
}

/** What goes before the message: trace, fields that rules add, fields that a submission lacks. */
function prefixOf(
  { policy, rcptAccepted, recipients, facts: { smtpUtf8 } }: Transaction,
  { facts, extended, hostname, envelope, header, handling }: PrefixOptions,
): Buffer {
  const { id, receivedAt: at } = envelope
  const onlyRecipient = rcptAccepted === 1 ? recipients[0]?.original : undefined
  const received = receivedField({ facts, extended, smtpUtf8, hostname, id, at, onlyRecipient })
  // RFC 6409 §8. Clients in the relay list submit, at port 25 as well; mail from others stays as it is.
  const lacks = !header.hasDate || !header.hasMessageId
  const missing =
    lacks && (isSubmitted(facts) || isOurs(policy, facts)) ? missingFields(header, { id, at, hostname }) : ''
  return Buffer.from(received + handling.headers + missing + header.before, 'latin1')
}

/** Makes a message durable, counts it and records it. Rejects with SpoolFull or SpoolFailure: then nothing was stored. */
export async function storeMessage(
  { counters, record }: Pick<MessageReceiver, 'counters' | 'record'>,
  body: MessageBody,
  { envelope, prefix, rules }: { envelope: Envelope; prefix: Buffer; rules(): string[] },
): Promise<void> {
  const { size } = body
  await body.store(envelope, prefix)
  counters.messages_accepted_total++
  counters.accepted_bytes_total += size
  counters.recipients_accepted_total += envelope.recipients.length
  // Nobody waits until the event is on disk: when this process is killed first, the next one records it from the spool.
  record('message.accepted', acceptedRecord(envelope, { size, rules: rules() }))
}

/** The client keeps the message and tries again; the event says what went wrong. */
function notStored(
  receiver: MessageReceiver,
  transaction: Transaction,
  error: unknown,
): MessageOutcome & { kind: 'refused' } {
  const full = error instanceof SpoolFull
  if (full) receiver.spoolFull()
  const verdict: Verdict = {
    stage: 'data',
    outcome: { kind: 'refuse', reply: full ? 'spoolFull' : 'internalError', close: false },
    rule: 'spool-full',
    reason: full ? 'spool-full' : 'internal-error',
    revision: transaction.policy.revision,
    explanation: [error instanceof Error ? error.message : String(error)],
    trail: [{ rule: 'spool-full', said: 'decided' }],
  }
  return { kind: 'refused', verdict, close: false, smuggling: false }
}
