import { readFileSync } from 'node:fs'
import { request as ask, createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { runInNewContext } from 'node:vm'

/**
 * CloudFront on this machine: the functions of `infra/edge` decide for each path, the gateway answers for the API with the
 * visitor's address and the token beside the request, and a bucket answers for the console.
 */
export type Cdn = { readonly url: string; stop(): Promise<void> }

export type CdnOptions = { gatewayUrl: string; edgeToken: () => string }

const infra = join(import.meta.dirname, '../../infra')
// By path: infra is no room of these tests.
const { cdnPatterns } = (await import(join(infra, 'doors.ts'))) as { cdnPatterns: readonly string[] }

type Headers = Record<string, { value: string }>
type EdgeRequest = { uri: string; headers: Headers }
type EdgeAnswer = { statusCode: number; headers: Headers; body: { data: string } }
type EdgeFunction = (event: { viewer: { ip: string }; request: EdgeRequest }) => EdgeRequest | EdgeAnswer

const edgeFunction = (file: string): EdgeFunction => runInNewContext(`${read(file)}${read('not-found.js')};handler`)
const read = (file: string) => readFileSync(join(infra, 'edge', file), 'utf8')

/** What the bucket holds, and how S3 answers for anything else: the CDN may not list the bucket. */
const files = new Map([['/index.html', '<!doctype html><title>Postern</title>']])
const accessDenied = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code></Error>'

export async function startCdn({ gatewayUrl, edgeToken }: CdnOptions): Promise<Cdn> {
  const [toApi, toConsole] = [edgeFunction('api.js'), edgeFunction('console.js')]
  const isApi = (uri: string) =>
    cdnPatterns.some((pattern) => (pattern.endsWith('*') ? uri.startsWith(pattern.slice(0, -1)) : uri === pattern))

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [uri = '/', query] = (request.url ?? '/').split('?')
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, { value: `${value}` }]),
    )
    const event = { viewer: { ip: request.socket.remoteAddress ?? '' }, request: { uri, headers } }
    const decided = (isApi(uri) ? toApi : toConsole)(event)
    if ('statusCode' in decided) return answer(response, decided)
    if (!isApi(uri)) {
      const file = files.get(decided.uri)
      response.writeHead(file ? 200 : 403, { 'content-type': file ? 'text/html' : 'application/xml' })
      response.end(file ?? accessDenied)
      return
    }
    const forwarded = ask(`${gatewayUrl}${decided.uri}${query ? `?${query}` : ''}`, {
      method: request.method,
      headers: {
        ...Object.fromEntries(Object.entries(decided.headers).map(([name, { value }]) => [name, value])),
        host: new URL(gatewayUrl).host,
        'x-postern-edge': edgeToken(),
      },
    })
    forwarded.on('response', (got) => {
      response.writeHead(got.statusCode ?? 502, got.headers)
      got.pipe(response)
    })
    await pipeline(request, forwarded)
  }

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function answer(response: ServerResponse, { statusCode, headers, body }: EdgeAnswer): void {
  response.writeHead(statusCode, Object.fromEntries(Object.entries(headers).map(([name, { value }]) => [name, value])))
  response.end(body.data)
}
