import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'

const compress = promisify(zstdCompress)
const options = { params: { [constants.ZSTD_c_compressionLevel]: 3 } }

/** Returns lines as NDJSON, compressed with zstd in a thread. */
export function compressLines(lines: readonly string[]): Promise<Buffer<ArrayBuffer>> {
  return compress(`${lines.join('\n')}\n`, options)
}
