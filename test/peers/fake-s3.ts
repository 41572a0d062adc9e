import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * S3 as a store with conditional writes, for which no emulator on npm is good enough (fauxqs and s3rver ignore
 * `If-None-Match` and `If-Match`). It knows PUT, GET with a range, HEAD, LIST, DELETE and multipart uploads, in memory,
 * and it is the fault injector: each request may be late, refused, or stored and then answered with 500.
 */
export type FakeS3 = {
  endpoint: string
  /** Objects by `bucket/key`. */
  objects: Map<string, Buffer>
  /** Requests so far, as `PUT bucket/key`. */
  requests: string[]
  /** What becomes of each request from now on. */
  behave(fate: (request: { method: string; path: string; n: number }) => Fate | undefined): void
  stop(): Promise<void>
}

export type Fate = {
  /** Before it is carried out. */
  delayMs?: number
  /** `503`: SlowDown, nothing done. `store then 500`: done, and the answer says it failed. `cut`: done, and the connection is closed without an answer. */
  answer?: '503' | 'store then 500' | 'cut'
}

type Answer = { status: number; headers?: Record<string, string>; body?: string | Buffer }

export async function startFakeS3(): Promise<FakeS3> {
  const objects = new Map<string, Buffer>()
  const uploads = new Map<string, Map<number, Buffer>>()
  const requests: string[] = []
  let fateOf: Parameters<FakeS3['behave']>[0] = () => undefined

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request
    const { pathname, searchParams } = new URL(url, 'http://s3')
    const path = decodeURIComponent(pathname.slice(1))
    requests.push(`${method} ${path}`)
    const fate = fateOf({ method, path, n: requests.length })
    const body = bodyOf(request, await buffer(request))
    if (fate?.delayMs) await sleep(fate.delayMs)
    if (fate?.answer === '503') return send(response, error(503, 'SlowDown'))
    const answer = carryOut({ method, path, query: searchParams, headers: request.headers, body })
    if (fate?.answer === 'cut') return void request.socket.destroy()
    send(response, fate?.answer === 'store then 500' ? error(500, 'InternalError') : answer)
  }

  function carryOut(request: Request): Answer {
    const { method, path, query, headers } = request
    if (method === 'POST' && query.has('delete')) return removeMany(request)
    if (method === 'POST' && query.has('uploads')) {
      const id = randomUUID()
      uploads.set(id, new Map())
      return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`)
    }
    if (query.has('uploadId')) return partOf(request)
    if (method === 'PUT') return store(path, request.body, headers)
    if (method === 'DELETE') {
      objects.delete(path)
      return { status: 204 }
    }
    return path.includes('/') && !query.has('list-type') ? get(request) : list(path.replace(/\/$/, ''), query)
  }

  function store(path: string, content: Buffer, headers: IncomingMessage['headers']): Answer {
    const present = objects.get(path)
    const { 'if-none-match': absent, 'if-match': tag } = headers
    if (absent === '*' && present) return error(412, 'PreconditionFailed')
    if (tag !== undefined && !present) return error(404, 'NoSuchKey')
    if (tag !== undefined && present && tag !== tagOf(present)) return error(412, 'PreconditionFailed')
    objects.set(path, content)
    return { status: 200, headers: { etag: tagOf(content) } }
  }

  function get({ method, path, headers }: Request): Answer {
    const content = objects.get(path)
    if (!content) return error(404, 'NoSuchKey')
    const range = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '')
    const first = Number(range?.[1] ?? 0)
    const last = range?.[2] ? Math.min(Number(range[2]), content.length - 1) : content.length - 1
    if (range && first >= content.length) return error(416, 'InvalidRange')
    const part = content.subarray(first, last + 1)
    return {
      status: range ? 206 : 200,
      headers: {
        etag: tagOf(content),
        'content-length': String(part.length),
        ...(range ? { 'content-range': `bytes ${first}-${last}/${content.length}` } : {}),
      },
      ...(method === 'HEAD' ? {} : { body: part }),
    }
  }

  function list(bucket: string, query: URLSearchParams): Answer {
    const prefix = query.get('prefix') ?? ''
    const delimiter = query.get('delimiter')
    const most = Math.min(1_000, Number(query.get('max-keys') ?? 1_000))
    const after = query.get('continuation-token') ?? query.get('start-after') ?? ''
    const keys = [...objects.keys()]
      .filter((path) => path.startsWith(`${bucket}/${prefix}`))
      .map((path) => path.slice(bucket.length + 1))
      .filter((key) => key > after)
      .sort()
    const contents: string[] = []
    const folders = new Set<string>()
    let last = ''
    for (const key of keys) {
      const end = delimiter ? key.indexOf(delimiter, prefix.length) : -1
      const folder = end === -1 ? undefined : key.slice(0, end + 1)
      // A page that ended with a folder goes on behind all that is in it.
      if (folder !== undefined && (folders.has(folder) || after.startsWith(folder))) continue
      if (contents.length + folders.size === most) break
      last = folder === undefined ? key : `${folder}\u{10ffff}`
      if (folder !== undefined) folders.add(folder)
      else
        contents.push(`<Contents><Key>${key}</Key><Size>${objects.get(`${bucket}/${key}`)?.length}</Size></Contents>`)
    }
    const isWhole = !keys.some((key) => key > last)
    return xml(
      `<ListBucketResult><IsTruncated>${!isWhole}</IsTruncated>${contents.join('')}${[...folders]
        .map((folder) => `<CommonPrefixes><Prefix>${folder}</Prefix></CommonPrefixes>`)
        .join('')}${isWhole ? '' : `<NextContinuationToken>${last}</NextContinuationToken>`}</ListBucketResult>`,
    )
  }

  function removeMany({ path, body }: Request): Answer {
    for (const [, key] of body.toString().matchAll(/<Key>([^<]*)<\/Key>/g))
      objects.delete(`${path.replace(/\/$/, '')}/${key}`)
    return xml('<DeleteResult></DeleteResult>')
  }

  function partOf({ method, path, query, headers, body }: Request): Answer {
    const id = query.get('uploadId') ?? ''
    const parts = uploads.get(id)
    if (!parts) return error(404, 'NoSuchUpload')
    if (method === 'PUT') {
      parts.set(Number(query.get('partNumber')), body)
      return { status: 200, headers: { etag: tagOf(body) } }
    }
    uploads.delete(id)
    if (method === 'DELETE') return { status: 204 }
    const whole = Buffer.concat([...parts].sort(([a], [b]) => a - b).map(([, part]) => part))
    const stored = store(path, whole, headers)
    return stored.status === 200
      ? xml(`<CompleteMultipartUploadResult><ETag>${tagOf(whole)}</ETag></CompleteMultipartUploadResult>`)
      : stored
  }

  const server = createServer((request, response) => void serve(request, response))
  // A client that rests between two tries finds its connection open.
  server.keepAliveTimeout = 120_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    requests,
    behave: (fate) => {
      fateOf = fate
    },
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

type Request = {
  method: string
  /** `bucket/key`. */
  path: string
  query: URLSearchParams
  headers: IncomingMessage['headers']
  body: Buffer
}

/** What the SDK sends with a checksum behind it comes in chunks (`aws-chunked`): each `<hex length>[;…]\r\n<octets>\r\n`. */
function bodyOf({ headers }: IncomingMessage, received: Buffer): Buffer {
  if (!headers['content-encoding']?.includes('aws-chunked')) return received
  const chunks: Buffer[] = []
  for (let from = 0; ; ) {
    const end = received.indexOf('\r\n', from)
    const length = Number.parseInt(received.toString('latin1', from, end), 16)
    if (!(length > 0)) return Buffer.concat(chunks)
    chunks.push(received.subarray(end + 2, end + 2 + length))
    from = end + 4 + length
  }
}

const tagOf = (content: Buffer): string => `"${createHash('md5').update(content).digest('hex')}"`
const xml = (body: string): Answer => ({ status: 200, headers: { 'content-type': 'application/xml' }, body })
const error = (status: number, code: string): Answer => ({
  ...xml(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`),
  status,
})

function send(response: ServerResponse, { status, headers = {}, body = '' }: Answer): void {
  response.writeHead(status, headers)
  response.end(body)
}
