import * as fs from 'node:fs'

/** Positional reads and writes that complete partial operations of the kernel. Everything runs in libuv's thread pool. */

type Settled = (error: Error | null) => void

/** Writes all buffers at `position`. Continues after a short write until done or refused. */
export function writeAll(fd: number, buffers: readonly Buffer[], position: number, settled: Settled): void {
  fs.writev(fd, buffers as Buffer[], position, (error, written) => {
    if (error) return settled(error)
    let left = written
    let index = 0
    while (index < buffers.length && left >= buffers[index]!.length) left -= buffers[index++]!.length
    if (index === buffers.length) return settled(null)
    if (written === 0) return settled(new Error('write: the disk accepted no data'))
    const rest = buffers.slice(index)
    rest[0] = rest[0]!.subarray(left)
    writeAll(fd, rest, position + written, settled)
  })
}

export function write(fd: number, buffers: readonly Buffer[], position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    writeAll(fd, buffers, position, (error) => (error ? reject(error) : resolve()))
  })
}

/** Reads up to `length` bytes from `position`; fewer only at the end of the file. */
export async function read(fd: number, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length)
  let filled = 0
  while (filled < length) {
    const got = await readOnce(fd, buffer, filled, position + filled)
    if (got === 0) return buffer.subarray(0, filled)
    filled += got
  }
  return buffer
}

const blockBytes = 4096

/** Like `read`, with zeros for blocks that the disk cannot read. Their checksums will not match. */
export async function readSalvaging(fd: number, position: number, bytes: number): Promise<Buffer> {
  const salvaged = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; ) {
    const length = Math.min(blockBytes - ((position + at) % blockBytes), bytes - at)
    try {
      const block = await read(fd, position + at, length)
      block.copy(salvaged, at)
      if (block.length < length) return salvaged.subarray(0, at + block.length)
    } catch {
      // The block stays zero.
    }
    at += length
  }
  return salvaged
}

function readOnce(fd: number, buffer: Buffer, from: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, buffer, from, buffer.length - from, position, (error, got) => (error ? reject(error) : resolve(got)))
  })
}

export function open(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(path, flags, 0o600, (error, fd) => (error ? reject(error) : resolve(fd)))
  })
}

/** Closes a file. Never fails, because durable data was synced before. */
export function close(fd: number): Promise<void> {
  return new Promise((resolve) => fs.close(fd, () => resolve()))
}

export function sync(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fs.fdatasync(fd, (error) => (error ? reject(error) : resolve())))
}

export function sizeOf(fd: number): Promise<number> {
  return new Promise((resolve, reject) => fs.fstat(fd, (error, stats) => (error ? reject(error) : resolve(stats.size))))
}

/** Makes creations, renames and removals in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const fd = await open(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  try {
    await new Promise<void>((resolve, reject) => fs.fsync(fd, (error) => (error ? reject(error) : resolve())))
  } finally {
    await close(fd)
  }
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}
