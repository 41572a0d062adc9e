/** Below this, a buffer is cheap. */
const leastBytes = 16 << 10

/**
 * Gives the memory of a large buffer back at once. V8 marks its whole heap after each 64 MB of buffers, so leaving them
 * to it costs more than sending them. Call it only for a buffer that nobody else has, when no write of it is pending.
 * Afterwards it is empty: whoever reads it all the same reads nothing, never another message.
 */
export function release(bytes: Buffer): void {
  const memory = bytes.buffer
  // Small buffers share the memory of Node's pool, and a part of a large buffer does not own it.
  const isShared = memory.byteLength === Buffer.poolSize || bytes.length * 2 < memory.byteLength
  if (memory instanceof ArrayBuffer && memory.byteLength >= leastBytes && !isShared) memory.transfer(0)
}
