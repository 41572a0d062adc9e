import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { maxLineBytes } from './columns.ts'
import type { EventRange } from './file-names.ts'
import { zstdFrames } from './zstd-frames.ts'

const decompress = promisify(zstdDecompress)

/** What a frame has at most when it is decompressed. One that claims more is foreign. */
const maxFrameBytes = 134_217_728
const newline = 0x0a

/**
 * Says what is wrong with a batch; `undefined`: every line is an event, the numbers are those of its name, in order. It
 * decompresses in a thread and rests after each frame, because the process has other work.
 */
export async function faultOfBatch(content: Uint8Array, { first, last }: EventRange): Promise<string | undefined> {
  let next = first
  try {
    for (const frame of zstdFrames(content)) {
      const lines = await decompress(frame, { maxOutputLength: maxFrameBytes })
      for (const line of linesOf(lines)) {
        const fault =
          line.length > maxLineBytes
            ? `event ${next} has ${line.length} characters`
            : faultOfEvent(JSON.parse(line), next)
        if (fault) return fault
        next++
      }
    }
  } catch (error) {
    return `${error instanceof SyntaxError ? `event ${next} is not JSON` : (error as Error).message}`.slice(0, 200)
  }
  return next === last + 1 ? undefined : `it has ${next - first} events, its name says ${last - first + 1}`
}

function* linesOf(content: Buffer): Generator<string> {
  for (let from = 0; from < content.length; ) {
    const end = content.indexOf(newline, from)
    yield content.toString('utf8', from, end < 0 ? content.length : end)
    from = end < 0 ? content.length : end + 1
  }
}

function faultOfEvent(event: { n?: unknown; at?: unknown; type?: unknown } | null, n: number): string | undefined {
  if (typeof event !== 'object' || event === null) return `event ${n} is not an object`
  if (event.n !== n) return `it has the number ${JSON.stringify(event.n)?.slice(0, 40)} where ${n} should be`
  if (typeof event.type !== 'string') return `event ${n} has no type`
  if (typeof event.at !== 'string' || Number.isNaN(Date.parse(event.at))) return `event ${n} has no time`
  return undefined
}
