import { ProblemError } from './problem.ts'

/** Reads request bodies and headers, within limits. */

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Reads the body as text. Throws 413 past `limit` bytes, and 400 if it is not UTF-8. */
export async function readText(request: Request, limit: number): Promise<string> {
  try {
    return utf8.decode(await readBytes(request, limit))
  } catch (error) {
    if (error instanceof ProblemError) throw error
    throw new ProblemError(400, 'The body is not UTF-8.')
  }
}

/** Reads the body. Throws 413 past `limit` bytes. */
export async function readBytes(request: Request, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () => new ProblemError(413, `The body is larger than ${limit} bytes.`)
  const announced = request.headers.get('content-length')
  if (Number(announced ?? 0) > limit) throw tooLarge()
  // A body is never longer than announced (RFC 9112 §6.3), and reading it whole costs much less than as a stream.
  if (announced !== null) {
    const bytes = new Uint8Array(await request.arrayBuffer())
    if (bytes.length > limit) throw tooLarge()
    return bytes
  }
  if (!request.body) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > limit) throw tooLarge()
    chunks.push(chunk)
  }
  const bytes = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return bytes
}

/** Deeper than any valid body. Code that walks a value may recurse this far. */
const maxDepth = 64

/** Throws 400 for invalid JSON, and for JSON that could not be stored unchanged. */
export function parseJson(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new ProblemError(
      400,
      `The body is not JSON: ${error instanceof Error ? error.message.slice(0, 200) : 'bad syntax'}.`,
    )
  }
  refuseOdd(value)
  return value
}

function refuseOdd(root: unknown): void {
  const waiting: { value: unknown; depth: number }[] = [{ value: root, depth: 0 }]
  for (let one = waiting.pop(); one; one = waiting.pop()) {
    const { value, depth } = one
    if (typeof value === 'string' && !value.isWellFormed())
      throw new ProblemError(400, 'The body contains an unpaired surrogate.')
    if (typeof value !== 'object' || value === null) continue
    if (depth >= maxDepth) throw new ProblemError(400, `The body is nested more than ${maxDepth} levels deep.`)
    if (Object.hasOwn(value, '__proto__')) throw new ProblemError(400, 'The key "__proto__" is not allowed.')
    for (const inner of Object.values(value)) waiting.push({ value: inner, depth: depth + 1 })
  }
}

/** Accepts `If-Match: "12"`, `12` or `W/"12"`. `*` or no header means any revision. */
export function expectedRevision(header: string | undefined): number | undefined {
  if (header === undefined || header.trim() === '*') return undefined
  const number = /^(?:W\/)?"?(\d{1,15})"?$/.exec(header.trim())?.[1]
  if (number === undefined)
    throw new ProblemError(400, `If-Match must be a revision, e.g. "12", not ${header.slice(0, 80)}.`)
  return Number(number)
}

/** Returns hexadecimal. */
export async function sha256(of: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', typeof of === 'string' ? new TextEncoder().encode(of) : of)
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Returns 256 random bits in a URL-safe encoding. */
export function randomSecret(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32))
  return (
    prefix +
    btoa(String.fromCharCode(...bytes))
      .replaceAll('+', '-')
      .replaceAll('/', '_')
      .replaceAll('=', '')
  )
}
