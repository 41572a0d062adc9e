import type { Envelope } from '@postern/contract/envelope.ts'
import type { DataFacts } from '@postern/contract/facts.ts'
import type { ReplyName } from '@postern/contract/replies.ts'
import type { DataVerdict, ReplyValues, Treatment, Verdict } from '@postern/contract/verdict.ts'
import { decideData } from '@postern/policy/decide.ts'
import { isAscii } from '@postern/policy/path.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { SpoolFull } from '@postern/spool/spool.ts'
import { V7Generator } from 'uuidv7'
import { type Dialogue, type House, hostName } from './dialogue.ts'
import { clientRecord, cut, verdictRecord } from './happenings.ts'
import { askAboutMessage, authenticationFor } from './lookups/message.ts'
import { MessageBody } from './message-body.ts'
import { type Header, missingFields, receivedField } from './trace.ts'
import type { Transaction } from './transaction.ts'
import { wireReply } from './wire.ts'

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
export function newBody({ spool }: House, { policy }: Transaction, stuffed: boolean): MessageBody {
  return new MessageBody(spool, { limit: octetsKept(policy), stuffed })
}

export function octetsKept({ settings, watched }: Policy): number {
  const { maxMessageBytes } = settings.general
  return maxMessageBytes === 0 || watched.has('message-size') ? Number.POSITIVE_INFINITY : maxMessageBytes
}

/**
 * Looks at a message of which more chunks (RFC 3030) are to come: what is wrong already is answered already.
 * @returns whether the transaction goes on, is over, or ends the connection with it
 */
export function judgeSoFar(dialogue: Dialogue, transaction: Transaction, body: MessageBody): 'on' | 'over' | 'close' {
  if (!body.suspect) return 'on'
  const { failure, size } = body
  if (failure) {
    notStored(dialogue, transaction, { error: failure, size })
    return 'over'
  }
  const verdict = decideData(dataFacts(transaction, body, { hops: 0 }), transaction.policy)
  const { outcome } = verdict
  if (outcome.kind !== 'refuse') return 'on'
  refuse(dialogue, transaction, { verdict, size, reply: outcome.reply, values: outcome.values })
  return outcome.close || body.bareLineFeeds || body.nulOctets ? 'close' : 'over'
}

function dataFacts(transaction: Transaction, body: MessageBody, { hops }: Pick<Header, 'hops'>): DataFacts {
  const { size, bareLineFeeds, nulOctets } = body
  const recipients = transaction.recipients.length
  return { ...transaction.facts, now: Date.now(), recipients, size, bareLineFeeds, nulOctets, hops }
}

/** Answers the message. @returns whether the connection ends with the answer */
export async function acceptMessage(dialogue: Dialogue, transaction: Transaction, body: MessageBody): Promise<boolean> {
  const header = body.header()
  const { verdict, facts } = await judge(dialogue, transaction, { body, header })
  const { outcome } = verdict
  if (outcome.kind === 'refuse') {
    body.drop()
    refuse(dialogue, transaction, { verdict, size: body.size, reply: outcome.reply, values: outcome.values })
    // Whatever it was refused for: where such a message ends is a matter of opinion, so what follows is not read.
    return outcome.close || body.bareLineFeeds || body.nulOctets
  }
  transaction.passed(verdict)
  const { house } = dialogue
  const envelope = envelopeOf(dialogue, transaction, { facts, header, hold: holdOf(verdict.treatments) })
  const { size } = body
  try {
    await body.store(envelope, prefixOf(dialogue, transaction, { envelope, header }))
  } catch (error) {
    body.drop()
    notStored(dialogue, transaction, { error, size })
    return false
  }
  house.counters.messages_accepted_total++
  house.counters.octets_accepted_total += size
  house.counters.recipients_accepted_total += envelope.recipients.length
  // Its way to disk is not waited for: when this process is killed first, the next one records it from the spool.
  tellAccepted(dialogue, transaction, { envelope, header, size })
  const { found } = envelope.authentication ?? {}
  if (found) house.record('message.authenticated', { messageId: envelope.id, ...found })
  dialogue.reply('accepted', { id: envelope.id })
  return false
}

/** What is not known and asked for is asked once; then it is decided again. */
async function judge(
  { house: { desk }, witness }: Dialogue,
  transaction: Transaction,
  { body, header }: { body: MessageBody; header: Header },
): Promise<{ verdict: DataVerdict; facts: DataFacts }> {
  const { policy } = transaction
  let facts = dataFacts(transaction, body, header)
  let verdict = decideData(facts, policy)
  const asked = askAboutMessage(facts, { verdict, body, desk, policy })
  if (asked) {
    facts = { ...facts, lookups: { ...facts.lookups, ...(await asked) } }
    verdict = decideData(facts, policy)
  }
  witness.data(facts)
  return { verdict, facts }
}

/** Why it waits in the queue; absent: it does not. */
function holdOf(treatments: readonly Treatment[]): string | undefined {
  const reasons = treatments.flatMap(({ hold }) => hold ?? [])
  return reasons.length === 0 ? undefined : reasons.join('; ').slice(0, 200)
}

function envelopeOf(
  { house, facts }: Dialogue,
  { policy, sender, recipients, promised, facts: { smtpUtf8 } }: Transaction,
  { facts: atEnd, header, hold }: { facts: DataFacts; header: Header; hold: string | undefined },
): Envelope {
  const { ip, helo = '', login, tls } = facts
  const authentication = authenticationFor(atEnd, header, policy)
  return {
    id: ids.generate().toString(),
    receivedAt: atEnd.now,
    worker: house.id,
    revision: policy.revision,
    origin: 'smtp',
    sender,
    recipients,
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
  { house, facts, extended }: Dialogue,
  { policy, rcptAccepted, recipients, facts: { smtpUtf8 } }: Transaction,
  { envelope: { id, receivedAt: at }, header }: { envelope: Envelope; header: Header },
): Buffer {
  const hostname = hostName(policy, house.machine)
  const onlyRecipient = rcptAccepted === 1 ? recipients[0]?.original : undefined
  const received = receivedField({ facts, extended, smtpUtf8, hostname, id, at, onlyRecipient })
  const missing = facts.listener === 'smtp' ? '' : missingFields(header, { id, at, hostname })
  return Buffer.from(received + missing, 'latin1')
}

function tellAccepted(
  { house, facts, marks: { connect, hello } }: Dialogue,
  { sender, rules, policy }: Transaction,
  { envelope, header, size }: { envelope: Envelope; header: Header; size: number },
): void {
  house.record('message.accepted', {
    messageId: envelope.id,
    origin: 'smtp',
    client: clientRecord(facts),
    sender,
    recipients: envelope.recipients.map(({ address, original }) => ({ address, original: cut(original, 320) })),
    size,
    ...(header.subject === undefined ? {} : { subject: header.subject }),
    revision: policy.revision,
    ...(envelope.hold === undefined ? {} : { held: cut(envelope.hold, 200) }),
    rules: connect.length + hello.length === 0 ? rules : [...connect, ...hello, ...rules],
  })
}

function refuse(
  dialogue: Dialogue,
  transaction: Transaction,
  {
    verdict,
    size,
    reply,
    values,
  }: { verdict: Verdict; size: number; reply: ReplyName; values?: ReplyValues | undefined },
): void {
  const text = wireReply(reply, values)
  dialogue.write(text)
  dialogue.house.counters.messages_refused_total++
  dialogue.house.record('message.refused', {
    client: clientRecord(dialogue.facts),
    sender: transaction.sender,
    recipients: transaction.recipients.slice(0, 100).map(({ address }) => address),
    size,
    verdict: verdictRecord(verdict, text),
  })
}

/** The client keeps the message and tries again; what went wrong is in the event. */
function notStored(
  dialogue: Dialogue,
  transaction: Transaction,
  { error, size }: { error: unknown; size: number },
): void {
  const full = error instanceof SpoolFull
  if (full) dialogue.house.spoolFull()
  const verdict: Verdict = {
    stage: 'data',
    outcome: { kind: 'refuse', reply: full ? 'spoolFull' : 'internalError', close: false },
    rule: 'spool-space',
    reason: full ? 'storage-full' : 'internal-error',
    revision: transaction.policy.revision,
    explanation: [error instanceof Error ? error.message : String(error)],
    trail: [{ rule: 'spool-space', said: 'decided' }],
  }
  refuse(dialogue, transaction, { verdict, size, reply: full ? 'spoolFull' : 'internalError' })
}
