import { describeIssues } from '@postern/contract/input-errors.ts'
import {
  chunkBytes,
  type Submission,
  submissionEnvelopeSchema,
  type submissionQuerySchema,
  submissionSchema,
} from '@postern/contract/worker-requests.ts'
import { getSettings } from '@postern/store/control/rows.ts'
import type { z } from 'zod'
import type { Dependencies } from '../dependencies.ts'
import { dropChunks, putChunk } from '../message-chunks.ts'
import { invalid, ProblemError } from '../problem.ts'
import { parseJson, readText, sha256 } from '../request.ts'
import type { Call } from '../write-revision.ts'

/**
 * Reads a submitted message from the request into chunks. A `message/rfc822` body is never in memory as a whole. JSON
 * must be, so it is limited to 64 MiB, and at most two large ones are read at once.
 */

const maxInJson = 64 * 1024 * 1024
/** Smaller JSON bodies are read without waiting. */
const smallBytes = 1024 * 1024
/** The upper end of the setting. It applies when the setting is 0, which means no limit. */
const maxBytes = 1024 * 1024 * 1024

type Envelope = z.output<typeof submissionEnvelopeSchema>
export type Bundle = { envelope: Envelope; bundle: string; chunks: number; hash: string }
type SubmissionQuery = z.output<typeof submissionQuerySchema>

/**
 * Returns the largest allowed message in bytes: `general.maxMessageBytes`, or the platform's limit if that is lower.
 */
export async function bytesAllowed({ control, maxBody = maxBytes }: Dependencies): Promise<number> {
  const { maxMessageBytes } = await getSettings(control, 'general')
  return Math.min(maxMessageBytes === 0 ? maxBytes : maxMessageBytes, maxBody)
}

export function tooLarge(limit: number): ProblemError {
  const detail = `The message is larger than ${limit} bytes, which is the most that general.maxMessageBytes allows.`
  return new ProblemError(413, detail, { errors: [{ path: 'message', message: detail }] })
}

/** Reads the request to its end. Throws 400, 413, 415 or 422, and then keeps nothing. */
export async function readSubmission(call: Call, request: Request, query: SubmissionQuery): Promise<Bundle> {
  const limit = await bytesAllowed(call.parts)
  const media = (request.headers.get('content-type') ?? 'application/json').split(';')[0]?.trim().toLowerCase()
  if (media === 'message/rfc822') {
    const envelope = envelopeOf(query)
    if (Number(request.headers.get('content-length') ?? 0) > limit) throw tooLarge(limit)
    return bundled(call.parts, envelope, limited(request.body, limit))
  }
  const given = Object.keys(query).filter((name) => query[name as keyof SubmissionQuery] !== undefined)
  if (given.length > 0)
    throw new ProblemError(
      415,
      `${given.join(' and ')} in the query is only for a message/rfc822 body; JSON contains its own envelope.`,
    )
  const length = request.headers.get('content-length')
  const read = async () => {
    const submission = await readJson(request, limit)
    return bundled(call.parts, submission, limited(bytesOf(submission), limit))
  }
  return length !== null && Number(length) <= smallBytes ? read() : inTurn(read)
}

function envelopeOf({ sender = '', recipients = '', notify, ...dsn }: SubmissionQuery): Envelope {
  const input = {
    sender,
    recipients: listed(recipients),
    ...(notify === undefined ? {} : { notify: listed(notify) }),
    ...dsn,
  }
  const result = submissionEnvelopeSchema.safeParse(input)
  if (!result.success) throw invalid(describeIssues(result.error, input, submissionEnvelopeSchema))
  return result.data
}

function listed(text: string): string[] {
  return text
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean)
}

/** JSON may encode one byte as two or more, so the message size is known only after reading. */
async function readJson(request: Request, limit: number): Promise<Submission> {
  const most = Math.min(limit, maxInJson)
  const bodyLimit = most * 2 + smallBytes
  const text = await readText(request, bodyLimit).catch((error: unknown) => {
    if (!(error instanceof ProblemError) || error.status !== 413) throw error
    throw most < limit
      ? new ProblemError(413, `A message in JSON may have at most ${most} bytes. Send a larger one as message/rfc822.`)
      : tooLarge(limit)
  })
  const input = parseJson(text)
  const result = submissionSchema.safeParse(input)
  if (!result.success) throw invalid(describeIssues(result.error, input, submissionSchema))
  const { message, messageBase64 } = result.data
  if ((message === undefined) === (messageBase64 === undefined))
    throw invalid([{ path: 'message', message: 'give either message or messageBase64, not both' }])
  return result.data
}

/** Yields bytes in pieces and never splits a character. */
async function* bytesOf({ message = '', messageBase64 }: Submission): AsyncGenerator<Uint8Array> {
  if (messageBase64 !== undefined) {
    for (let from = 0; from < messageBase64.length; from += 262_144)
      yield Uint8Array.from(atob(messageBase64.slice(from, from + 262_144)), (letter) => letter.charCodeAt(0))
    return
  }
  const encoder = new TextEncoder()
  for (let from = 0; from < message.length; ) {
    let end = Math.min(from + 262_144, message.length)
    const last = message.charCodeAt(end - 1)
    if (end < message.length && last >= 0xd800 && last <= 0xdbff) end++
    yield encoder.encode(message.slice(from, end))
    from = end
  }
}

async function* limited(pieces: AsyncIterable<Uint8Array> | null, limit: number): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const piece of pieces ?? []) {
    bytes += piece.length
    if (bytes > limit) throw tooLarge(limit)
    yield piece
  }
  if (bytes === 0) throw invalid([{ path: 'message', message: 'the message is missing: the body is empty' }])
}

/**
 * Rechunks to a fixed size, whatever the sizes of the input pieces, so that the same message always has the same hash.
 */
async function bundled(
  parts: Dependencies,
  { sender, recipients, notify, ret, envid }: Envelope,
  pieces: AsyncIterable<Uint8Array>,
): Promise<Bundle> {
  const envelope = { sender, recipients, notify, ret, envid }
  const bundle = parts.newId()
  let hash = await sha256(JSON.stringify(envelope))
  let chunks = 0
  let filled = 0
  const chunk = new Uint8Array(chunkBytes)
  const send = async () => {
    const bytes = chunk.slice(0, filled)
    hash = await sha256(`${hash}\n${await sha256(bytes)}`)
    await putChunk(parts, { bundle, n: chunks++, bytes })
    filled = 0
  }
  try {
    for await (const piece of pieces)
      for (let from = 0; from < piece.length; ) {
        const some = piece.subarray(from, from + chunkBytes - filled)
        chunk.set(some, filled)
        filled += some.length
        from += some.length
        if (filled === chunkBytes) await send()
      }
    if (filled > 0) await send()
  } catch (error) {
    await dropChunks(parts, { bundle, chunks })
    throw error
  }
  return { envelope, bundle, chunks, hash }
}

const turns: Promise<unknown>[] = [Promise.resolve(), Promise.resolve()]
let next = 0

function inTurn<T>(read: () => Promise<T>): Promise<T> {
  next = (next + 1) % turns.length
  const turn = (turns[next] as Promise<unknown>).then(read)
  turns[next] = turn.catch(() => undefined)
  return turn
}
