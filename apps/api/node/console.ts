import { existsSync, readFileSync, statSync } from 'node:fs'
import { extname, join, normalize, sep } from 'node:path'

/** The console's built files, from memory after the first request. A path without a file is a page of the console. */
export function consoleAt(directory: string): ((path: string) => Response | undefined) | undefined {
  if (!existsSync(join(directory, 'index.html'))) return undefined
  const cache = new Map<string, Uint8Array<ArrayBuffer>>()
  const read = (file: string): Uint8Array<ArrayBuffer> | undefined => {
    const known = cache.get(file)
    if (known) return known
    if (!file.startsWith(directory + sep) || !existsSync(file) || !statSync(file).isFile()) return undefined
    const octets = new Uint8Array(readFileSync(file))
    cache.set(file, octets)
    return octets
  }
  return (path) => {
    let file: string
    try {
      file = normalize(join(directory, decodeURIComponent(path)))
    } catch {
      return undefined
    }
    const octets = read(file)
    if (octets) return page(octets, file, path.startsWith('/assets/'))
    if (extname(path) !== '') return undefined
    const index = join(directory, 'index.html')
    const start = read(index)
    return start && page(start, index, false)
  }
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

function page(octets: Uint8Array<ArrayBuffer>, file: string, isHashed: boolean): Response {
  return new Response(octets, {
    headers: {
      'content-type': types[extname(file)] ?? 'application/octet-stream',
      'cache-control': isHashed ? 'public, max-age=31536000, immutable' : 'no-cache',
      'content-security-policy':
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    },
  })
}
