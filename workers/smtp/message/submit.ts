import { parseMailAddress } from '@postern/contract/address.ts'
import type { MailFacts } from '@postern/contract/facts.ts'
import { hostNameOf } from '@postern/contract/host-name.ts'
import { wireReply } from '@postern/contract/reply-text.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import type { SubmitRequest, WorkerRequestAnswer } from '@postern/contract/worker-requests.ts'
import { decideRcpt } from '@postern/policy/decide.ts'
import { isAscii } from '@postern/policy/path.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { MessageChunks } from '@postern/runtime/worker.ts'
import { judge, type MessageReceiver, newBody, storeMessage } from './accept.ts'
import type { MessageBody } from './body.ts'
import { envelopeOf, handlingOf } from './envelope.ts'
import { httpReceivedField, missingFields } from './header.ts'
import { Transaction } from './transaction.ts'

type SubmitReceiver = MessageReceiver & { readonly policy: Policy; readonly tlsAvailable: boolean }

/**
 * A message that an operator submits through the API. Its recipients and its content are judged by the same rules as any
 * message, with the right to relay that a login has; its sender is not, for an operator speaks for the receiver.
 * Resolves with `stored` when it is durable. Rejects with SpoolFull or SpoolFailure: nothing was stored.
 */
export async function submit(
  receiver: SubmitReceiver,
  request: SubmitRequest,
  chunks: MessageChunks,
): Promise<WorkerRequestAnswer> {
  const { policy } = receiver
  const facts = factsOf(receiver, request)
  const { notify, ret, envid } = request
  const parameters = { body: '7bit' as const, ...(ret && { ret }), ...(envid && { envid }) }
  const transaction = new Transaction(policy, facts, { verdict: policy.proceed.mail, parameters })
  for (const [i, recipient] of request.recipients.entries()) {
    const verdict = decideRcpt(
      { ...facts, recipientText: recipient, recipient: parseMailAddress(recipient), recipientsSoFar: i },
      policy,
    )
    if (verdict.outcome.kind !== 'proceed') return refused(`recipients.${i}`, verdict)
    transaction.add(notify ? verdict.recipients.map((one) => ({ ...one, notify })) : verdict.recipients)
    transaction.passed(verdict)
  }
  if (request.dryRun) return { outcome: 'stored' }
  const body = newBody(receiver, transaction, false)
  try {
    await fill(body, request, chunks)
    return await store(receiver, transaction, { request, body })
  } finally {
    // After it was stored this does nothing.
    body.drop()
  }
}

/** Reads chunk after chunk, and ends lines as mail ends them. */
async function fill(body: MessageBody, { chunks: count }: SubmitRequest, chunks: MessageChunks): Promise<void> {
  const ends = new LineEnds()
  for (let n = 0; n < count; n++) await body.take(ends.corrected(await chunks.fetch(n))).wait
  await body.take(ends.last()).wait
  await body.finish()
}

function factsOf({ machine, tlsAvailable }: SubmitReceiver, { sender, by, address }: SubmitRequest): MailFacts {
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

async function store(
  receiver: SubmitReceiver,
  transaction: Transaction,
  { request: { messageId: id }, body }: { request: SubmitRequest; body: MessageBody },
): Promise<WorkerRequestAnswer> {
  const { policy } = transaction
  const header = body.header()
  const { verdict, facts } = await judge(receiver, transaction, { body, header, id })
  if (verdict.outcome.kind !== 'proceed') return refused('message', verdict)
  transaction.passed(verdict)
  const handling = handlingOf(verdict.treatments)
  const at = facts.now
  const envelope = envelopeOf(transaction, {
    id,
    worker: receiver.id,
    origin: 'api',
    receivedAt: at,
    smtpUtf8: !isAscii(transaction.sender),
    header,
    handling,
  })
  const hostname = hostNameOf(policy.settings.general.hostname, receiver.machine)
  const missing = missingFields(header, { id, at, hostname })
  const trace = httpReceivedField({ hostname, id, at })
  const prefix = Buffer.from(trace + handling.headers + missing + header.before, 'latin1')
  await storeMessage(receiver, body, { envelope, prefix, rules: () => transaction.rules })
  return { outcome: 'stored' }
}

function refused(path: string, { outcome, rule }: Verdict): WorkerRequestAnswer {
  const reply = outcome.kind === 'refuse' ? wireReply(outcome.reply, outcome.values).trimEnd() : 'refused'
  return { outcome: 'refused', path, rule, reply: reply.slice(0, 600) }
}

/** Files end their lines in LF, mail in CRLF; a last line without an end gets one. */
class LineEnds {
  #afterCr = false
  #afterLf = false

  corrected(bytes: Buffer): Buffer {
    // A CR at the end waits for what comes next: it may be half of a CRLF.
    const text = (this.#afterCr ? '\r' : '') + bytes.toString('latin1')
    this.#afterCr = text.endsWith('\r')
    const whole = (this.#afterCr ? text.slice(0, -1) : text).replace(/\r\n|\r|\n/g, '\r\n')
    if (whole !== '') this.#afterLf = whole.endsWith('\n')
    return Buffer.from(whole, 'latin1')
  }

  last(): Buffer {
    return Buffer.from(this.#afterCr || !this.#afterLf ? '\r\n' : '')
  }
}
