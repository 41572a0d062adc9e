import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { constants, zstdCompress, zstdDecompress } from 'node:zlib'
import { maxBatchBytes } from '@postern/contract/worker-protocol.ts'
import { EventLog } from '@postern/log/log.ts'
import { openDirectoryStore } from '@postern/objects/directory-store.ts'
import type { ObjectStore } from '@postern/objects/object-store.ts'
import { openS3Store } from '@postern/objects/s3-store.ts'
import type { EventStore, Log } from '../dependencies.ts'
import { ProblemError } from '../problem.ts'

/** The stores that `POSTERN_LOG` and `POSTERN_ARCHIVE` name: a directory, or `s3://bucket/prefix`. */

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)
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
  const events = await EventLog.open({
    ...(await storeAt(place)),
    cache: join(directory, 'cache'),
    now,
    damaged: (file, reason) => log.error({ file, reason }, 'a file of the log cannot be read; it is left out'),
  })
  return Object.assign(events, {
    pack: (text: string) => compress(text, level),
    unpack,
    archive,
  })
}

/** A directory is given along, so that searches read its files in place. */
async function storeAt(place: string): Promise<{ store: ObjectStore; directory?: string }> {
  const bucket = s3Address(place)
  if (bucket) return { store: openS3Store({ ...bucket, client: {} }) }
  const directory = resolve(place)
  return { store: await openDirectoryStore(directory), directory }
}

async function unpack(content: Uint8Array): Promise<string> {
  try {
    const bytes = await decompress(content, { maxOutputLength: maxBatchBytes.plain })
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new ProblemError(400, `The body is not UTF-8 text compressed with zstd: ${(error as Error).message}.`)
  }
}

function s3Address(where: string): { bucket: string; prefix: string } | undefined {
  const [, bucket, path = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(where) ?? []
  if (bucket === undefined) return undefined
  return { bucket, prefix: path === '' || path.endsWith('/') ? path : `${path}/` }
}
