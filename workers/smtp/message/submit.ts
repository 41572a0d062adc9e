import { parseMailAddress } from '@postern/contract/address.ts'
import type { Envelope } from '@postern/contract/envelope.ts'
import type { MailFacts } from '@postern/contract/facts.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import type { SubmitRequest, WorkerRequestAnswer } from '@postern/contract/worker-requests.ts'
import { decideRcpt } from '@postern/policy/decide.ts'
import { isAscii } from '@postern/policy/path.ts'
import type { MessageChunks } from '@postern/runtime/worker.ts'
import { clientRecord, printable } from '../record/event-fields.ts'
import { hostName, type ReceiverContext } from '../session/context.ts'
import { wireReply } from '../session/reply-text.ts'
import { Transaction } from '../session/transaction.ts'
import { judge, newBody, redirected, together } from './accept.ts'
import type { MessageBody } from './body.ts'
import { type Header, httpReceivedField, missingFields } from './header.ts'

/**
 * A message that an operator hands in through the API. Its recipients and its content are judged by the same rules as
 * anybody's, with the right to relay that a login has; about its sender nobody is asked, for an operator speaks for the receiver.
 * Resolves with `stored` when it is durable. Rejects with SpoolFull or SpoolFailure: nothing was stored.
 */
export async function submit(
  receiver: ReceiverContext,
  request: SubmitRequest,
  chunks: MessageChunks,
): Promise<WorkerRequestAnswer> {
  const { policy } = receiver
  const facts = factsOf(receiver, request)
  const transaction = new Transaction(policy, facts, { verdict: policy.proceed.mail, promised: { body: '7bit' } })
  for (const [i, recipient] of request.recipients.entries()) {
    const verdict = decideRcpt(
      { ...facts, recipientText: recipient, recipient: parseMailAddress(recipient), recipientsSoFar: i },
      policy,
    )
    if (verdict.outcome.kind !== 'proceed') return refused(`recipients.${i}`, verdict)
    transaction.add(verdict.recipients)
    transaction.passed(verdict)
  }
  if (request.dryRun) return { outcome: 'stored' }
  const body = newBody(receiver, transaction, false)
  try {
    const eight = await fill(body, request, chunks)
    const header = body.header()
    const {
      verdict,
      facts: { now: at },
    } = await judge({ receiver }, transaction, { body, header, id: request.messageId })
    if (verdict.outcome.kind !== 'proceed') return refused('message', verdict)
    transaction.passed(verdict)
    await store(receiver, transaction, { request, body, eight, header, at, treatment: together(verdict.treatments) })
    return { outcome: 'stored' }
  } finally {
    // After it was stored this does nothing.
    body.drop()
  }
}

/** Chunk after chunk, lines ended as mail ends them. @returns whether an octet has its eighth bit set */
async function fill(body: MessageBody, { chunks: count }: SubmitRequest, chunks: MessageChunks): Promise<boolean> {
  const ends = new LineEnds()
  let eight = false
  for (let n = 0; n < count; n++) {
    const octets = await chunks.fetch(n)
    eight ||= octets.some((octet) => octet > 127)
    await body.take(ends.corrected(octets)).wait
  }
  await body.take(ends.last()).wait
  await body.finish()
  return eight
}

function factsOf({ machine, tlsAvailable }: ReceiverContext, { sender, by, address }: SubmitRequest): MailFacts {
  return {
    now: Date.now(),
    listener: 'submission',
    ip: address ?? '127.0.0.1',
    machine,
    tlsAvailable,
    login: by,
    senderText: sender,
    sender: sender === '' ? 'null-sender' : parseMailAddress(sender),
    smtpUtf8: false,
    spool: 'ready',
  }
}

type Taken = {
  request: SubmitRequest
  body: MessageBody
  eight: boolean
  header: Header
  at: number
  treatment: ReturnType<typeof together>
}

async function store(
  receiver: ReceiverContext,
  { policy, recipients, sender, facts, rules }: Transaction,
  { request: { messageId: id, by, notify, ret, envid }, body, eight, header, at, treatment }: Taken,
): Promise<void> {
  const { hold, redirect, headers } = treatment
  const wanted = notify ? recipients.map((recipient) => ({ ...recipient, notify })) : recipients
  const to = redirect ? redirected(redirect, wanted) : wanted
  const envelope: Envelope = {
    id,
    receivedAt: at,
    worker: receiver.id,
    revision: policy.revision,
    origin: 'api',
    sender,
    recipients: to,
    body: eight ? '8bitmime' : '7bit',
    smtpUtf8: ![sender, ...to.map(({ address }) => address)].every(isAscii),
    hops: header.hops,
    client: { ip: facts.ip, helo: '', login: by },
    ...(ret ? { ret } : {}),
    ...(envid ? { envid } : {}),
    ...(hold === undefined ? {} : { hold }),
  }
  const hostname = hostName(policy, receiver.machine)
  const missing = missingFields(header, { id, at, hostname })
  const prefix = Buffer.from(httpReceivedField({ hostname, id, at }) + headers + missing + header.before, 'latin1')
  const { size } = body
  await body.store(envelope, prefix)
  receiver.counters.messages_accepted_total++
  receiver.counters.octets_accepted_total += size
  receiver.counters.recipients_accepted_total += to.length
  receiver.record('message.accepted', {
    messageId: id,
    origin: 'api',
    client: clientRecord(facts),
    sender,
    recipients: to.map(({ address, original }) => ({ address, original: printable(original) })),
    size,
    ...(header.subject === undefined ? {} : { subject: header.subject }),
    revision: policy.revision,
    rules,
    ...(hold === undefined ? {} : { held: printable(hold) }),
  })
}

function refused(path: string, { outcome, rule }: Verdict): WorkerRequestAnswer {
  const reply = outcome.kind === 'refuse' ? wireReply(outcome.reply, outcome.values).trimEnd() : 'refused'
  return { outcome: 'refused', path, rule, reply: reply.slice(0, 600) }
}

/** Files end their lines in LF, mail in CRLF; a last line without an end gets one. */
class LineEnds {
  #afterCr = false
  #afterLf = false

  corrected(octets: Buffer): Buffer {
    // A CR at the end waits for what comes next: it may be half of a CRLF.
    const text = (this.#afterCr ? '\r' : '') + octets.toString('latin1')
    this.#afterCr = text.endsWith('\r')
    const whole = (this.#afterCr ? text.slice(0, -1) : text).replace(/\r\n|\r|\n/g, '\r\n')
    if (whole !== '') this.#afterLf = whole.endsWith('\n')
    return Buffer.from(whole, 'latin1')
  }

  last(): Buffer {
    return Buffer.from(this.#afterCr || !this.#afterLf ? '\r\n' : '')
  }
}
