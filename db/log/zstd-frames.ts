/**
 * The frames of a zstd file (RFC 8878 §3.1). A merged batch is several behind each other; Node decompresses only the first.
 * Nothing is decompressed here.
 * @throws Error for a file that is cut off or is not zstd.
 */
export function zstdFrames(content: Uint8Array): Uint8Array[] {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength)
  const frames: Uint8Array[] = []
  try {
    for (let at = 0; at < content.length; ) {
      const end = endOfFrame(view, at)
      if (end > content.length) throw new RangeError()
      frames.push(content.subarray(at, end))
      at = end
    }
  } catch (error) {
    if (error instanceof RangeError) throw new Error('cut off')
    throw error
  }
  if (frames.length === 0) throw new Error('empty')
  return frames
}

const frameMagic = 0xfd2fb528
const frameHeaderContentBytes = [0, 2, 4, 8] as const
const dictionaryBytes = [0, 1, 2, 4] as const

function endOfFrame(view: DataView, start: number): number {
  if (view.getUint32(start, true) !== frameMagic) throw new Error('not compressed with zstd')
  const descriptor = view.getUint8(start + 4)
  const hasOneSegment = (descriptor & 0x20) !== 0
  const hasChecksum = (descriptor & 0x04) !== 0
  const sizeFlag = descriptor >> 6
  const contentBytes = sizeFlag === 0 && hasOneSegment ? 1 : (frameHeaderContentBytes[sizeFlag] ?? 0)
  let at = start + 5 + (hasOneSegment ? 0 : 1) + (dictionaryBytes[descriptor & 0x03] ?? 0) + contentBytes
  for (let isLast = false; !isLast; ) {
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16)
    isLast = (header & 1) === 1
    // RFC 8878 §3.1.1.2.2: a block of type 1 (RLE) has one octet, whatever its size.
    const isRepeated = ((header >> 1) & 3) === 1
    at += 3 + (isRepeated ? 1 : header >> 3)
  }
  return at + (hasChecksum ? 4 : 0)
}
