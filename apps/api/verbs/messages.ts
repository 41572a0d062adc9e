import { mostErrandOctets, type Submission } from '@postern/contract/errands.ts'
import { recordAudit } from '@postern/store/control/revisions.ts'
import { dropErrand } from '@postern/store/records/errands.ts'
import { messageById } from '@postern/store/records/queue.ts'
import type { Call } from '../call.ts'
import { invalid, notFound, ProblemError } from '../problem.ts'
import { sha256 } from '../request.ts'
import { ask, liveWorkers } from './errands.ts'

/** Messages themselves: taken in over HTTP, and shown. Both are done by workers, who have the spool; here nothing is kept. */

type Submitted = { id: string; state: 'accepted' | 'pending' }

/**
 * Hands a message in. Answered with 201 when it is durable in a worker's spool. 202: no worker has said so yet; it will be
 * taken when one comes, under the same id. With an Idempotency-Key it is taken once.
 */
export async function submitMessage(call: Call, submission: Submission): Promise<Response> {
  const { parts, who, write } = call
  const { sender, recipients } = submission
  const messageBase64 = octetsOf(submission)
  if (write.dryRun) return json(200, { dryRun: true })
  const [worker] = await liveWorkers(parts, 'smtp')
  if (!worker) throw new ProblemError(503, 'No SMTP worker is live to take the message. Nothing was stored; try again.')
  const key = write.idempotency && (await sha256(`${who.actor}\n${write.idempotency.key}`))
  const messageId = key ? idFrom(key) : parts.newId()
  const id = key ? `submit-${key}` : `submit-${messageId}`
  const requestHash = await sha256([sender, ...recipients, messageBase64].join('\n'))
  const about = { id, messageId, sender, recipients, messageBase64, by: who.actor }
  const errand = { kind: 'submit' as const, ...about, ...(call.address ? { address: call.address } : {}) }
  await audit(call, 'message.submit', `${messageId} from <${sender}> to ${recipients.length} recipients`)
  const answer = await ask(call, errand, { workers: [worker], requestHash })
  switch (answer?.outcome) {
    case 'stored':
      return json(201, { id: messageId, state: 'accepted' } satisfies Submitted)
    case 'refused':
      await dropErrand(parts.records, id)
      throw invalid([{ path: answer.path, message: `${answer.reply} (rule ${answer.rule})` }])
    case undefined:
      return json(202, { id: messageId, state: 'pending' } satisfies Submitted)
    default:
      await dropErrand(parts.records, id)
      throw new ProblemError(503, 'The worker could not store the message. Nothing was stored; try again.')
  }
}

/** As base64, which goes through everything. */
function octetsOf({ message, messageBase64 }: Submission): string {
  if ((message === undefined) === (messageBase64 === undefined))
    throw invalid([{ path: 'message', message: 'give either message or messageBase64, and not both' }])
  if (messageBase64 !== undefined) return messageBase64
  const octets = new TextEncoder().encode(message)
  if (octets.length > mostErrandOctets)
    throw invalid([
      { path: 'message', message: `has ${octets.length} octets; at most ${mostErrandOctets} are allowed` },
    ])
  let binary = ''
  for (let from = 0; from < octets.length; from += 32_768)
    binary += String.fromCharCode(...octets.subarray(from, from + 32_768))
  return btoa(binary)
}

/** A uuid of version 8 (RFC 9562 §5.8): the same key, the same message. */
function idFrom(hash: string): string {
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-a${hash.slice(17, 20)}-${hash.slice(20, 32)}`
}

/**
 * The message as it waits, octet by octet, never interpreted: a download. Each look is in the audit log before anything is
 * shown. 410 when it waits no more; what is longer than we show is cut, and `Postern-Octets` says how long it is.
 */
export async function readContent(call: Call, messageId: string): Promise<Response> {
  const { parts } = call
  const row = await messageById(parts.records, messageId)
  if (!row) throw notFound(`message ${messageId}`)
  await audit(call, 'message.read', messageId)
  const gone = new ProblemError(410, `Message ${messageId} waits no more: its content is not kept.`)
  if (row.state === 'finished') throw gone
  const workers = await liveWorkers(parts, 'queue')
  if (workers.length === 0) throw new ProblemError(503, 'No Queue Manager is live to show the message; try again.')
  const id = `content-${parts.newId()}`
  const answer = await ask(call, { kind: 'content', id, messageId }, { workers, requestHash: '' })
  await dropErrand(parts.records, id)
  if (answer?.outcome === 'absent') throw gone
  if (answer?.outcome !== 'found')
    throw new ProblemError(503, 'The Queue Manager did not show the message in time; try again.', {
      headers: { 'retry-after': '5' },
    })
  const octets = Uint8Array.from(atob(answer.base64), (character) => character.charCodeAt(0))
  return new Response(octets, {
    headers: {
      'content-type': 'message/rfc822',
      'content-disposition': `attachment; filename="${messageId}.eml"`,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'postern-octets': String(answer.octets),
    },
  })
}

async function audit({ parts, who, write }: Call, action: string, entity: string): Promise<void> {
  await recordAudit(parts.control, {
    id: parts.newId(),
    now: parts.now(),
    actor: who.actor,
    action,
    kind: 'message',
    entity,
    comment: write.comment,
  })
}

function json(status: number, body: object): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  })
}
