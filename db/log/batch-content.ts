import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { maxLineBytes } from './columns.ts'
import type { EventRange } from './file-names.ts'
import { zstdFrames } from './zstd-frames.ts'

const decompress = promisify(zstdDecompress)

/** What was found in a batch. `longestLine` is in bytes. */
export type BatchCheck = { fault: string } | { longestLine: number }

/** What a frame has at most when it is decompressed. One that claims more is foreign. */
const maxFrameBytes = 134_217_728
const newline = 0x0a

/**
 * Reads a batch: every line must be an event, and the numbers those of its name, in order. It decompresses in a thread and
 * rests after each frame, because the process has other work.
 */
export async function checkBatch(content: Uint8Array, { first, last }: EventRange): Promise<BatchCheck> {
  let next = first
  let longestLine = 0
  try {
    for (const frame of zstdFrames(content)) {
      const lines = await decompress(frame, { maxOutputLength: maxFrameBytes })
      for (const line of linesOf(lines)) {
        longestLine = Math.max(longestLine, line.length)
        if (line.length > maxLineBytes) return { fault: `event ${next} has ${line.length} bytes` }
        const fault = faultOfEvent(JSON.parse(line.toString()), next)
        if (fault) return { fault }
        next++
      }
    }
  } catch (error) {
    const fault = error instanceof SyntaxError ? `event ${next} is not JSON` : (error as Error).message
    return { fault: fault.slice(0, 200) }
  }
  return next === last + 1
    ? { longestLine }
    : { fault: `it has ${next - first} events, its name says ${last - first + 1}` }
}

function* linesOf(content: Buffer): Generator<Buffer> {
  for (let from = 0; from < content.length; ) {
    const end = content.indexOf(newline, from)
    yield content.subarray(from, end < 0 ? content.length : end)
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
