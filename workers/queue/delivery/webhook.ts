import { createHash } from 'node:crypto'
import type { Recipient } from '@postern/contract/envelope.ts'
import { HookFailure } from '@postern/net/http/hook-failure.ts'
import type { Answer } from '@postern/net/http/post.ts'
import { digestOf, sign, signatureHeader } from '@postern/net/http/signature.ts'
import { chunksOf } from '../message/content.ts'
import { deliveredBytes } from '../message/header-edits.ts'
import type { DeliveryJob, QueuedMessage } from '../message/message.ts'
import { deferredOutcome, type Outcome, type Outcomes } from '../message/outcome.ts'
import type { Destination } from '../route/destination.ts'
import type { AttemptContext } from './attempt-context.ts'

/**
 * The route `webhook`: the message as it is stored, POSTed as message/rfc822 and signed. What the receiver needs of the
 * envelope stands in the header `Postern-Envelope` as ASCII JSON; `Idempotency-Key` is the same when it is sent again.
 */

type Webhook = Extract<Destination, { kind: 'webhook' }>
type Abortable = AttemptContext & { signal: AbortSignal }

/** Milliseconds for one request. */
const timeoutMs = 120_000
/** Of an answer that is kept: a sentence for the trace. */
const maxAnswer = 4096
/** Bytes of the envelope in one request: servers take no longer header lines. More recipients get more requests. */
const maxEnvelope = 4000
const longestRetryMs = 86_400_000

export async function deliverToWebhook(job: DeliveryJob, webhook: Webhook, context: Abortable): Promise<Outcomes> {
  const { host } = new URL(webhook.url)
  const outcomes = new Map<number, Outcome>()
  for (const group of groupsOf(job)) {
    const result = await deliverGroup(job.mail, { group, webhook, host }, context)
    for (const r of group) outcomes.set(r, result)
  }
  return { via: { host }, outcomes }
}

type Group = { group: readonly number[]; webhook: Webhook; host: string }

async function deliverGroup(
  mail: QueuedMessage,
  { group, webhook, host }: Group,
  context: Abortable,
): Promise<Outcome> {
  const envelope = envelopeOf(mail, group)
  const headers: { [name: string]: string } = {
    'content-type': 'message/rfc822',
    'postern-message-id': mail.envelope.id,
    'postern-envelope': envelope,
    'idempotency-key': createHash('sha256').update(envelope).digest('hex').slice(0, 32),
  }
  const body = () => chunksOf(mail, context.reader)
  try {
    if (webhook.secret !== undefined)
      headers[signatureHeader] = sign(webhook.secret, Date.now(), await digestOf(body()))
    const answer = await context.poster.post({
      url: webhook.url,
      headers,
      length: deliveredBytes(mail),
      body,
      timeoutMs,
      maxAnswer,
      cutAnswer: true,
      signal: context.signal,
    })
    return meaningOf(answer, Date.now())
  } catch (error) {
    // What is wrong with the stored message itself is the caller's affair.
    if (!(error instanceof HookFailure)) throw error
    return deferredOutcome(statusOf[error.trouble], `${host}: ${error.message}`, causeOf[error.trouble])
  }
}

const statusOf = { forbidden: '4.3.5', unreachable: '4.4.1', timeout: '4.4.2', nonsense: '4.4.2', resting: '4.4.1' }
const causeOf = {
  forbidden: 'webhook-forbidden',
  unreachable: 'cannot-connect',
  timeout: 'connection-lost',
  nonsense: 'connection-lost',
  resting: 'cannot-connect',
}

/** 2xx is taken; 4xx is refused for good, but for 408, 425 and 429, which say "later" as everything else does. */
export function meaningOf({ status, headers, body }: Answer, now: number): Outcome {
  const reply = `HTTP ${status}${wordsOf(body)}`
  if (status >= 200 && status < 300) return { kind: 'delivered', status: '2.0.0', reply, dsnPassedOn: false }
  if (status >= 400 && status < 500 && ![408, 425, 429].includes(status))
    return { kind: 'bounced', status: status === 413 ? '5.3.4' : '5.3.0', reply, cause: 'refused' }
  if (status >= 300 && status < 400)
    return deferredOutcome('4.3.5', `${reply} (redirections are not followed)`, 'webhook-redirects')
  const notBefore = retryAfter(headers['retry-after'], now)
  return { kind: 'deferred', status: '4.3.0', reply, cause: 'refused-for-now', ...(notBefore ? { notBefore } : {}) }
}

/** The first line of the answer, without control characters. */
function wordsOf(body: Buffer): string {
  const [line = ''] = body
    .toString('utf8')
    .trim()
    .split(/[\r\n]/, 1)
  return line ? `: ${line.replace(/[\p{C}\u2028\u2029\ufffd]/gu, '?').slice(0, 300)}` : ''
}

/** RFC 9110 §10.2.3: seconds or a date; at most a day. Milliseconds since the epoch. */
function retryAfter(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  const at = /^\d{1,9}$/.test(text.trim()) ? now + Number(text) * 1000 : Date.parse(text)
  return Number.isNaN(at) || at <= now ? undefined : Math.min(at, now + longestRetryMs)
}

function envelopeOf({ envelope }: QueuedMessage, group: readonly number[]): string {
  const recipients = group.map((r) => {
    const { address, original } = envelope.recipients[r] as Recipient
    return { address, original }
  })
  const receivedAt = new Date(envelope.receivedAt).toISOString()
  return ascii(JSON.stringify({ id: envelope.id, receivedAt, sender: envelope.sender, recipients }))
}

/** JSON stays JSON when what is beyond ASCII is escaped; header lines hold nothing else. */
function ascii(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function groupsOf({ mail, recipients }: DeliveryJob): number[][] {
  const groups: number[][] = []
  let bytes = 0
  for (const r of recipients) {
    const length = envelopeOf(mail, [r]).length
    if (groups.length === 0 || bytes + length > maxEnvelope) {
      groups.push([])
      bytes = 0
    }
    bytes += length
    groups.at(-1)?.push(r)
  }
  return groups
}
