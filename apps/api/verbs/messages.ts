import type { submissionQuerySchema } from '@postern/contract/worker-requests.ts'
import { headRevision, recordAudit, StaleError } from '@postern/store/control/revisions.ts'
import { chunkOf, dropChunks } from '@postern/store/records/message-chunks.ts'
import { messageById } from '@postern/store/records/queue.ts'
import { dropWorkerRequest } from '@postern/store/records/worker-requests.ts'
import type { z } from 'zod'
import type { Call } from '../call.ts'
import type { Dependencies } from '../dependencies.ts'
import { untilEvents } from '../event-signal.ts'
import { invalid, notFound, ProblemError } from '../problem.ts'
import { sha256 } from '../request.ts'
import { octetsAllowed, readSubmission, tooLarge } from './submission.ts'
import { ask, liveWorkers } from './worker-requests.ts'

/** Messages themselves: taken in over HTTP, and shown. Both are done by workers, who have the spool; here nothing is kept. */

type Submitted = { id: string; state: 'accepted' | 'pending'; revision: number }
type Query = z.output<typeof submissionQuerySchema>

/**
 * Hands a message in. Answered with 201 when it is durable in a worker's spool. 202: no worker has said so yet; it will be
 * taken when one comes, under the same id. With an Idempotency-Key it is taken once. `revision`: the one in force; a
 * message makes none.
 */
export async function submitMessage(call: Call, request: Request, query: Query): Promise<Response> {
  const { parts, who, write } = call
  const revision = await headRevision(parts.control)
  if (write.expected !== undefined && write.expected !== revision) throw new StaleError(write.expected, revision)
  const { envelope, bundle, chunks, hash } = await readSubmission(call, request, query)
  const [worker] = await liveWorkers(parts, 'smtp')
  if (!worker) {
    await dropChunks(parts.records, bundle)
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
  const { answer, isNew } = await ask(call, workerRequest, { workers: [worker], requestHash: hash })
  // Of a repeated request the octets of the first are used.
  if (!isNew) await dropChunks(parts.records, bundle)
  const forget = async () => {
    await dropWorkerRequest(parts.records, id)
    await dropChunks(parts.records, bundle)
  }
  switch (answer?.outcome) {
    case 'stored':
      if (write.dryRun) await forget()
      else await untilKnown(call, messageId)
      return write.dryRun
        ? json(200, { dryRun: true, revision })
        : json(201, { id: messageId, state: 'accepted', revision })
    case 'refused':
      await forget()
      if (answer.rule === 'message-size') throw tooLarge(await octetsAllowed(parts))
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

/** Who asks for the message next finds it: the worker's event of it is on its way. */
async function untilKnown({ parts, signal }: Call, messageId: string): Promise<void> {
  const until = performance.now() + knownWithinMs
  while (performance.now() < until && !signal.aborted && !(await messageById(parts.records, messageId)))
    await untilEvents(parts, 100, signal)
}

/** A uuid of version 8 (RFC 9562 §5.8): the same key, the same message. */
function idFrom(hash: string): string {
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-a${hash.slice(17, 20)}-${hash.slice(20, 32)}`
}

/**
 * The message as it waits, octet by octet, never interpreted: a download. Each look is in the audit log before anything is
 * shown. 410 when it waits no more. `Postern-Octets` says how long it is: more than is answered only where the way to this
 * API passes less (a function's 4 MiB).
 */
export async function readContent(call: Call, messageId: string): Promise<Response> {
  const { parts } = call
  const row = await messageById(parts.records, messageId)
  if (!row) throw notFound(`message ${messageId}`)
  await audit(call, 'message.read', messageId)
  const gone = new ProblemError(410, `Message ${messageId} is no longer in the queue, so its content is gone.`)
  if (row.state === 'finished') throw gone
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

/** A chunk when there is room for one; they go when the last was sent, or nobody listens any more. */
function chunkStream(parts: Dependencies, bundle: string, chunks: number): ReadableStream<Uint8Array> {
  let n = 0
  const end = () => dropChunks(parts.records, bundle)
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const octets = n < chunks ? await chunkOf(parts.records, bundle, n++) : undefined
        if (octets) return controller.enqueue(octets)
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
