import { ProblemError } from './problem.ts'

/** Reads what came, within limits. */

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The body as text; throws 413 past `limit` octets and 400 for what is not UTF-8. */
export async function readText(request: Request, limit: number): Promise<string> {
  try {
    return utf8.decode(await readOctets(request, limit))
  } catch (error) {
    if (error instanceof ProblemError) throw error
    throw new ProblemError(400, 'The body is not UTF-8.')
  }
}

/** The body; throws 413 past `limit` octets. */
export async function readOctets(request: Request, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () => new ProblemError(413, `The body is larger than ${limit} octets.`)
  if (Number(request.headers.get('content-length') ?? 0) > limit) throw tooLarge()
  if (!request.body) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > limit) throw tooLarge()
    chunks.push(chunk)
  }
  const octets = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    octets.set(chunk, at)
    at += chunk.byteLength
  }
  return octets
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ProblemError(
      400,
      `The body is not JSON: ${error instanceof Error ? error.message.slice(0, 200) : 'bad syntax'}.`,
    )
  }
}

/** `If-Match: "12"`, `12` or `W/"12"`; `*` and nothing ask for no revision. */
export function expectedRevision(header: string | undefined): number | undefined {
  if (header === undefined || header.trim() === '*') return undefined
  const number = /^(?:W\/)?"?(\d{1,15})"?$/.exec(header.trim())?.[1]
  if (number === undefined)
    throw new ProblemError(400, `If-Match must be a revision, e.g. "12", not ${header.slice(0, 80)}.`)
  return Number(number)
}

/** In hexadecimal. */
export async function sha256(of: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', typeof of === 'string' ? new TextEncoder().encode(of) : of)
  return [...new Uint8Array(digest)].map((octet) => octet.toString(16).padStart(2, '0')).join('')
}

/** 256 random bits, URL-safe. */
export function randomSecret(prefix: string): string {
  const octets = crypto.getRandomValues(new Uint8Array(32))
  return (
    prefix +
    btoa(String.fromCharCode(...octets))
      .replaceAll('+', '-')
      .replaceAll('/', '_')
      .replaceAll('=', '')
  )
}
