import { isUtf8 } from 'node:buffer'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { constants, createZstdDecompress, zstdCompress } from 'node:zlib'
import { maxBatchBytes } from '@postern/contract/worker-protocol.ts'
import { EventLog } from '@postern/log/log.ts'
import { openDirectoryStore } from '@postern/objects/directory-store.ts'
import type { ObjectStore } from '@postern/objects/object-store.ts'
import { openS3Store } from '@postern/objects/s3-store.ts'
import type { EventStore, Log } from '../dependencies.ts'
import { ProblemError } from '../problem.ts'

/** The stores that `POSTERN_LOG` and `POSTERN_ARCHIVE` name: a directory, or `s3://bucket/prefix`. */

const compress = promisify(zstdCompress)
/** Small enough that memory for it is used again. */
const pieceBytes = 65_536
const newline = 0x0a
const level = { params: { [constants.ZSTD_c_compressionLevel]: 3 } }

export type EventStoreOptions = {
  env: NodeJS.ProcessEnv
  /** Where the log is if the environment does not name a store, and where its cache is. */
  directory: string
  log: Log
  now: () => number
}

export async function openEventStore({ env, directory, log, now }: EventStoreOptions): Promise<EventStore> {
  const place = env.POSTERN_LOG || join(directory, 'log')
  const archive = env.POSTERN_ARCHIVE ? (await storeAt(env.POSTERN_ARCHIVE)).store : undefined
  const own = await storeAt(place)
  const events = await EventLog.open({
    ...own,
    cache: join(directory, 'cache'),
    now,
    damaged: (file, reason) => log.error({ file, reason }, 'a file of the log cannot be read; it is left out'),
  })
  return Object.assign(events, {
    pack: (text: string) => compress(text, level),
    unpack,
    archive,
    transit: own.store,
  })
}

/** A directory is given along, so that searches read its files in place. */
async function storeAt(place: string): Promise<{ store: ObjectStore; directory?: string }> {
  const bucket = s3Address(place)
  if (bucket) return { store: openS3Store({ ...bucket, client: {} }) }
  const directory = resolve(place)
  return { store: await openDirectoryStore(directory), directory }
}

async function unpack(content: Uint8Array, take: (lines: Uint8Array) => void): Promise<void> {
  const lines = new WholeLines((some) => {
    if (!isUtf8(some)) throw new Error('invalid UTF-8')
    take(some)
  })
  try {
    await decompress(content, (piece) => lines.add(piece))
    lines.end()
  } catch (error) {
    if (error instanceof ProblemError) throw error
    throw new ProblemError(400, `The body is not UTF-8 text compressed with zstd: ${(error as Error).message}.`)
  }
}

/** Decompresses in a thread. Rejects with what `take` throws. */
function decompress(content: Uint8Array, take: (piece: Buffer) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = createZstdDecompress({ chunkSize: pieceBytes })
    let bytes = 0
    stream.on('data', (piece: Buffer) => {
      bytes += piece.length
      try {
        if (bytes > maxBatchBytes.plain) throw new Error(`it has more than ${maxBatchBytes.plain} bytes`)
        take(piece)
      } catch (error) {
        stream.destroy(error as Error)
      }
    })
    stream.on('end', () => {
      // It ends with the first frame. A search would take the rest for damage.
      if (stream.bytesWritten === content.length) resolve()
      else reject(new Error(`${content.length - stream.bytesWritten} bytes follow its end`))
    })
    stream.on('error', reject)
    stream.end(content)
  })
}

/** Passes on whole lines of a text that comes in pieces. */
class WholeLines {
  readonly #take: (lines: Buffer) => void
  #begun: Buffer[] = []

  constructor(take: (lines: Buffer) => void) {
    this.#take = take
  }

  add(piece: Buffer): void {
    const end = piece.lastIndexOf(newline) + 1
    if (end > 0) {
      const first = this.#begun.length > 0 ? piece.indexOf(newline) + 1 : 0
      if (first > 0) this.#take(Buffer.concat([...this.#begun, piece.subarray(0, first)]))
      if (first < end) this.#take(piece.subarray(first, end))
      this.#begun = []
    }
    if (end < piece.length) this.#begun.push(piece.subarray(end))
  }

  /** What is left does not end with a line feed. */
  end(): void {
    if (this.#begun.length > 0) this.#take(Buffer.concat(this.#begun))
  }
}

function s3Address(where: string): { bucket: string; prefix: string } | undefined {
  const [, bucket, path = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(where) ?? []
  if (bucket === undefined) return undefined
  return { bucket, prefix: path === '' || path.endsWith('/') ? path : `${path}/` }
}
