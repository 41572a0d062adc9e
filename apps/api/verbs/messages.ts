import type { submissionQuerySchema } from '@postern/contract/worker-requests.ts'
import { headRevision, recordAudit, StaleError } from '@postern/store/control/revisions.ts'
import { dropWorkerRequest } from '@postern/store/records/worker-requests.ts'
import type { z } from 'zod'
import type { Dependencies } from '../dependencies.ts'
import { chunkOf, dropChunks } from '../message-chunks.ts'
import { messageStory } from '../message-story.ts'
import { invalid, notFound, ProblemError } from '../problem.ts'
import { recentEvents } from '../recent-events.ts'
import { sha256 } from '../request.ts'
import type { Call } from '../write-revision.ts'
import { bytesAllowed, readSubmission, tooLarge } from './submission.ts'
import { ask, liveWorkers } from './worker-requests.ts'

/** Submits and shows messages. Workers do both, because they have the spool. The API keeps no messages. */

type Submitted = { id: string; state: 'accepted' | 'pending'; revision: number }
type Query = z.output<typeof submissionQuerySchema>

/**
 * Submits a message. Answers 201 once it is durable in a worker's spool. Answers 202 if no worker has confirmed it yet;
 * the next available worker takes it under the same id. With an Idempotency-Key it is taken only once. `revision` is
 * the current one, because a message creates none.
 */
export async function submitMessage(call: Call, request: Request, query: Query): Promise<Response> {
  const { parts, who, write } = call
  const revision = await headRevision(parts.control)
  if (write.expected !== undefined && write.expected !== revision) throw new StaleError(write.expected, revision)
  const { envelope, bundle, chunks, hash } = await readSubmission(call, request, query)
  const [worker] = await liveWorkers(parts, 'smtp')
  if (!worker) {
    await dropChunks(parts, { bundle, chunks })
    throw new ProblemError(503, 'No SMTP worker is running. Nothing was stored. Try again later.')
  }
  const key = write.idempotency && (await sha256(`${who.actor}\n${write.idempotency.key}`))
  const messageId = key ? idFrom(key) : parts.newId()
  const id = key ? `submit-${key}` : `submit-${messageId}`
  const about = { id, messageId, ...envelope, bundle, chunks, by: who.actor, dryRun: write.dryRun }
  const workerRequest = { kind: 'submit' as const, ...about, ...(call.address ? { address: call.address } : {}) }
  if (!write.dryRun)
    await audit(
      call,
      'message.submit',
      `${messageId} from <${envelope.sender}> to ${envelope.recipients.length} recipients`,
    )
  const recent = recentEvents(parts)
  const begun = recent.end
  const { answer, isNew } = await ask(call, workerRequest, { workers: [worker], requestHash: hash })
  // A repeated request uses the chunks of the first one.
  if (!isNew) await dropChunks(parts, { bundle, chunks })
  const forget = async () => {
    await dropWorkerRequest(parts.records, id)
    await dropChunks(parts, { bundle, chunks })
  }
  switch (answer?.outcome) {
    case 'stored':
      if (write.dryRun) await forget()
      else await untilKnown(call, messageId, isNew ? begun : recent.beginning)
      return write.dryRun
        ? json(200, { dryRun: true, revision })
        : json(201, { id: messageId, state: 'accepted', revision })
    case 'refused':
      await forget()
      if (answer.rule === 'message-size') throw tooLarge(await bytesAllowed(parts))
      throw invalid([{ path: answer.path, message: `${answer.reply} (rule ${answer.rule})` }])
    case undefined:
      if (!write.dryRun) return json(202, { id: messageId, state: 'pending', revision })
      await forget()
      throw new ProblemError(503, 'No worker answered in time. Nothing was stored. Try again.')
    default:
      await forget()
      throw new ProblemError(503, 'The worker could not store the message. Nothing was stored. Try again.')
  }
}

const knownWithinMs = 1_000
const pageEvents = 1_000

/** Waits for the worker's event from a position on, so that the client's next request finds the message. */
async function untilKnown({ parts, signal }: Call, messageId: string, since: number): Promise<void> {
  const until = performance.now() + knownWithinMs
  const recent = recentEvents(parts)
  for (let next = since; performance.now() < until && !signal.aborted; ) {
    const found = await recent.from(next, pageEvents)
    if (found?.some((event) => event.messageId === messageId)) return
    next = found ? next + found.length : recent.beginning
    if (next === recent.end) await recent.more(100, signal)
  }
}

/** Makes a version 8 UUID (RFC 9562 §5.8) from the hash. The same key always gives the same message id. */
function idFrom(hash: string): string {
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-a${hash.slice(17, 20)}-${hash.slice(20, 32)}`
}

/**
 * Downloads a queued message, byte for byte and never interpreted. Each access is written to the audit log before any
 * content is sent. Answers 410 when the message has left the queue. `Postern-Octets` is the full length. The body is
 * shorter only where the platform limits its size (4 MiB in a function).
 */
export async function readContent(call: Call, messageId: string): Promise<Response> {
  const { parts } = call
  const story = await messageStory(parts, messageId)
  if (!story) throw notFound(`message ${messageId}`)
  await audit(call, 'message.read', messageId)
  const gone = new ProblemError(410, `Message ${messageId} is no longer in the queue, so its content is gone.`)
  if (story.state === 'finished') throw gone
  const workers = await liveWorkers(parts, 'queue')
  if (workers.length === 0)
    throw new ProblemError(503, 'No Queue Manager is running, so the message cannot be shown. Try again later.')
  const id = `content-${parts.newId()}`
  const most = parts.maxBody ?? 2 ** 31
  const { answer } = await ask(call, { kind: 'content', id, messageId, most }, { workers, requestHash: '' })
  await dropWorkerRequest(parts.records, id)
  if (answer?.outcome === 'absent') throw gone
  if (answer?.outcome !== 'found')
    throw new ProblemError(503, 'The Queue Manager did not answer in time. Try again.', {
      headers: { 'retry-after': '5' },
    })
  return new Response(chunkStream(parts, id, answer.chunks), {
    headers: {
      'content-type': 'message/rfc822',
      'content-disposition': `attachment; filename="${messageId}.eml"`,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'postern-octets': String(answer.octets),
    },
  })
}

/** Streams chunks as the reader asks for them. Deletes them after the last one, or when the reader disconnects. */
function chunkStream(parts: Dependencies, bundle: string, chunks: number): ReadableStream<Uint8Array> {
  let n = 0
  const end = () => dropChunks(parts, { bundle, chunks })
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const bytes = n < chunks ? await chunkOf(parts, bundle, n++) : undefined
        if (bytes) return controller.enqueue(bytes)
        await end()
        controller.close()
      },
      cancel: end,
    },
    { highWaterMark: 1 },
  )
}

async function audit({ parts, who, write, address }: Call, action: string, entity: string): Promise<void> {
  await recordAudit(parts.control, {
    id: parts.newId(),
    now: parts.now(),
    actor: who.actor,
    action,
    kind: 'message',
    entity,
    comment: write.comment,
    address,
  })
}

function json(status: number, body: Submitted | { dryRun: true; revision: number }): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', etag: `"${body.revision}"` },
  })
}
