/**
 * The PROXY protocol (haproxy, proxy-protocol.txt 2.x), version 1 and 2, as a pure function of the bytes so far.
 * A header that is not exactly as the specification demands is an error; nothing is guessed.
 */

export type ProxyHeader =
  /** More bytes are needed. */
  | { kind: 'incomplete' }
  /** `length`: bytes of the header; what follows is the client's. Without `source` the connection is the balancer's own (LOCAL, UNKNOWN, UNSPEC). */
  | { kind: 'header'; length: number; source?: string; destination?: string }
  | { kind: 'error'; detail: string }

/** A line of version 1 has at most 107 bytes with its CRLF. */
const longestLine = 107
/** Addresses and TLVs of version 2; its length field allows 65535, no header needs so many. */
const longestBlock = 4096

const signature = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])
const versionOne = Buffer.from('PROXY ')
const incomplete: ProxyHeader = { kind: 'incomplete' }

export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (bytes.length === 0) return incomplete
  if (begins(bytes, signature)) return bytes.length < 16 ? incomplete : readBinary(bytes)
  if (begins(bytes, versionOne)) return readText(bytes)
  return error('no PROXY header')
}

/** Whether the bytes, as far as they go, begin like `prefix`. */
function begins(bytes: Buffer, prefix: Buffer): boolean {
  const length = Math.min(bytes.length, prefix.length)
  return bytes.subarray(0, length).equals(prefix.subarray(0, length))
}

function error(detail: string): ProxyHeader {
  return { kind: 'error', detail }
}

function readText(bytes: Buffer): ProxyHeader {
  const lf = bytes.indexOf(0x0a)
  if (lf === -1 || lf >= longestLine) return bytes.length >= longestLine ? error('line too long') : incomplete
  if (bytes[lf - 1] !== 0x0d) return error('line does not end in CRLF')
  const [, family, ...words] = bytes.toString('latin1', 0, lf - 1).split(' ')
  if (family === 'UNKNOWN') return { kind: 'header', length: lf + 1 }
  if (family !== 'TCP4' && family !== 'TCP6') return error('unknown family')
  const [source = '', destination = '', sourcePort = '', destinationPort = ''] = words
  if (words.length !== 4) return error('not four fields after the family')
  const isAddress = family === 'TCP4' ? isV4 : isV6
  if (!isAddress(source) || !isAddress(destination)) return error(`not two ${family} addresses`)
  if (!isPort(sourcePort) || !isPort(destinationPort)) return error('not two ports')
  return { kind: 'header', length: lf + 1, source, destination }
}

function isV4(text: string): boolean {
  return (
    /^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/.test(text) && text.split('.').every((part) => Number(part) <= 255)
  )
}

function isV6(text: string): boolean {
  if (!/^[0-9a-f:]+(?:\d+\.\d+\.\d+\.\d+)?$/i.test(text) || text.length > 45) return false
  const halves = text.split('::')
  const groups = text.split(':').filter((group) => group !== '')
  const dotted = groups.at(-1)?.includes('.') ?? false
  if (dotted && !isV4(groups.at(-1) as string)) return false
  const plain = dotted ? groups.slice(0, -1) : groups
  const count = plain.length + (dotted ? 2 : 0)
  if (!plain.every((group) => /^[0-9a-f]{1,4}$/i.test(group)) || text.includes(':::')) return false
  if (halves.length === 1) return count === 8 && !text.startsWith(':') && !text.endsWith(':')
  return halves.length === 2 && count <= 7 && halves.every((half) => !/^:|:$/.test(half))
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535
}

function readBinary(bytes: Buffer): ProxyHeader {
  const versionCommand = bytes[12] as number
  const familyAndTransport = bytes[13] as number
  const length = bytes.readUInt16BE(14)
  if (versionCommand >> 4 !== 2) return error('unknown version')
  const command = versionCommand & 0x0f
  if (command > 1) return error('unknown command')
  if (length > longestBlock) return error('header too long')
  if (bytes.length < 16 + length) return incomplete
  const header = { kind: 'header', length: 16 + length } as const
  // LOCAL: the balancer's own health check; the rest of the header is ignored.
  if (command === 0 || familyAndTransport === 0x00) return header
  const width = familyAndTransport === 0x11 ? 4 : familyAndTransport === 0x21 ? 16 : 0
  if (width === 0) return error('family and transport are not TCP over IPv4 or IPv6')
  if (length < width * 2 + 4) return error('addresses cut short')
  const fault = faultInTlvs(bytes.subarray(16 + width * 2 + 4, 16 + length))
  if (fault) return error(fault)
  const text = width === 4 ? textOfV4 : textOfV6
  return { ...header, source: text(bytes, 16), destination: text(bytes, 16 + width) }
}

/** TLVs one after another, with nothing left over. Their values are not used. */
function faultInTlvs(block: Buffer): string | undefined {
  let at = 0
  while (at < block.length) {
    if (at + 3 > block.length) return 'a TLV is cut short'
    at += 3 + block.readUInt16BE(at + 1)
  }
  return at === block.length ? undefined : 'a TLV is longer than the header'
}

function textOfV4(bytes: Buffer, at: number): string {
  return bytes.subarray(at, at + 4).join('.')
}

function textOfV6(bytes: Buffer, at: number): string {
  const groups: string[] = []
  for (let i = 0; i < 16; i += 2) groups.push(bytes.readUInt16BE(at + i).toString(16))
  return groups.join(':')
}
