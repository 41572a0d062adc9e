import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { consolePages } from '@postern/contract/console-pages.ts'
import type { Context } from 'hono'
import { parseAccept } from 'hono/utils/accept'
import { ProblemError, problemResponse } from '../problem.ts'

/**
 * Serves the console's built files, from memory after the first request, and its single page for the paths of its
 * router. All other paths are left alone: a monitor that requests `/readyz/` must not get a page.
 */
export function consoleAt(directory: string): ((context: Context) => Response | undefined) | undefined {
  if (!existsSync(join(directory, 'index.html'))) return undefined
  const files = filesIn(directory)
  return ({ req }) => {
    const path = new URL(req.url).pathname
    const file = files.get(path) ?? (isPage(path) ? files.get('/index.html') : undefined)
    if (file && !['GET', 'HEAD'].includes(req.method))
      return problemResponse(
        new ProblemError(405, `${req.method} is not allowed here. Allowed: GET, HEAD.`, {
          headers: { allow: 'GET, HEAD' },
        }),
      )
    if (file) return answer(file, req.raw.headers)
    const start = files.get('/index.html')
    // A person who mistypes a page name gets the console's own "not found" page, with status 404.
    const isPerson = req.method === 'GET' && /\btext\/html\b/.test(req.header('accept') ?? '')
    return isPerson && start && mightBePage(path) ? answer(start, req.raw.headers, 404) : undefined
  }
}

function isPage(path: string): boolean {
  const first = /^\/([a-z-]*)(?:\/[\w.~@:-]+)*\/?$/.exec(path)?.[1]
  return first !== undefined && (first === '' ? path === '/' : (consolePages as readonly string[]).includes(first))
}

/** Matches lower-case words, except paths that belong to the API or to monitoring. */
function mightBePage(path: string): boolean {
  return /^(?:\/[a-z-]+)+\/?$/.test(path) && !/^\/(?:api|docs|healthz|readyz|metrics|assets|openapi)(?:\/|$)/.test(path)
}

/** One built file, as it is and as compressed by the build, in order of preference. */
type Coded = { coding: 'br' | 'gzip' | undefined; bytes: Uint8Array<ArrayBuffer>; etag: string }
type BuiltFile = { path: string; coded: () => Coded[] }

const endings = { br: '.br', gzip: '.gz' } as const

function filesIn(directory: string): Map<string, BuiltFile> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(br|gz)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
  return new Map(
    names.map((name) => {
      const path = name.slice(directory.length)
      let known: Coded[] | undefined
      const coded = () => {
        known ??= ([...codings, undefined] as const).flatMap((coding) => codedFile(name, coding) ?? [])
        return known
      }
      return [path, { path, coded }]
    }),
  )
}

const codings = ['br', 'gzip'] as const

function codedFile(name: string, coding: Coded['coding']): Coded | undefined {
  const file = coding ? name + endings[coding] : name
  if (!existsSync(file)) return undefined
  const bytes = new Uint8Array(readFileSync(file))
  const digest = createHash('sha256').update(bytes).digest('base64url').slice(0, 22)
  return { coding, bytes, etag: `"${digest}"` }
}

/** Picks the best coding (RFC 9110 §12.5.3). Falls back to the uncompressed file. */
function acceptable(coded: Coded[], header: string | null): Coded | undefined {
  const asked = new Map(parseAccept(header ?? '').map(({ type, q }) => [type.toLowerCase(), q]))
  const weight = ({ coding }: Coded) => (coding ? (asked.get(coding) ?? asked.get('*') ?? 0) : 0)
  const [best] = coded.filter((one) => weight(one) > 0).sort((a, b) => weight(b) - weight(a))
  return best ?? coded.find(({ coding }) => coding === undefined)
}

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
}

function answer({ path, coded }: BuiltFile, asked: Headers, status: 200 | 404 = 200): Response {
  const all = coded()
  const chosen = acceptable(all, asked.get('accept-encoding'))
  if (!chosen) throw new Error(`${path} is missing from the console's build`)
  const { bytes, coding, etag } = chosen
  const headers = {
    'cache-control': path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
    etag,
    ...(all.length > 1 ? { vary: 'accept-encoding' } : {}),
    // Also sent with a 304: browsers update the headers of the cached page from it (RFC 9111 §4.3.4).
    'content-security-policy':
      "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
  }
  if (status === 200 && isKnown(asked.get('if-none-match'), etag)) return new Response(null, { status: 304, headers })
  return new Response(bytes, {
    status,
    headers: {
      ...headers,
      'content-type': types[extname(path)] ?? 'application/octet-stream',
      'content-length': String(bytes.byteLength),
      ...(coding ? { 'content-encoding': coding } : {}),
    },
  })
}

/** Compares weakly (RFC 9110 §13.1.2). */
function isKnown(header: string | null, etag: string): boolean {
  return (header ?? '').split(',').some((one) => ['*', etag].includes(one.trim().replace(/^W\//, '')))
}
