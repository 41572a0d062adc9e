/**
 * The PROXY protocol (haproxy, proxy-protocol.txt 2.x), version 1 and 2, as a pure function over what has come so far.
 * It believes nothing that is not exactly as the text demands; what it cannot read is an error, never a guess.
 */

export type ProxyHeader =
  /** More octets are needed. */
  | { kind: 'incomplete' }
  /** `octets`: how long the header is; what follows is the client's. Without `source` the balancer speaks for itself (LOCAL, UNKNOWN, UNSPEC). */
  | { kind: 'header'; octets: number; source?: string; destination?: string }
  | { kind: 'error'; detail: string }

/** RFC-less but fixed: a version 1 line has at most 107 octets with its CRLF. */
const longestLine = 107
/** Addresses and TLVs of version 2; its length field allows 65535, nobody needs so many. */
const longestBlock = 4096

const signature = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])
const versionOne = Buffer.from('PROXY ')
const incomplete: ProxyHeader = { kind: 'incomplete' }

export function readProxyHeader(octets: Buffer): ProxyHeader {
  if (octets.length === 0) return incomplete
  if (begins(octets, signature)) return octets.length < 16 ? incomplete : readBinary(octets)
  if (begins(octets, versionOne)) return readText(octets)
  return error('no PROXY header')
}

/** Whether the octets begin with the mark, as far as they go. */
function begins(octets: Buffer, mark: Buffer): boolean {
  const length = Math.min(octets.length, mark.length)
  return octets.subarray(0, length).equals(mark.subarray(0, length))
}

function error(detail: string): ProxyHeader {
  return { kind: 'error', detail }
}

function readText(octets: Buffer): ProxyHeader {
  const lf = octets.indexOf(0x0a)
  if (lf === -1 || lf >= longestLine) return octets.length >= longestLine ? error('line too long') : incomplete
  if (octets[lf - 1] !== 0x0d) return error('line does not end in CRLF')
  const [, family, ...words] = octets.toString('latin1', 0, lf - 1).split(' ')
  if (family === 'UNKNOWN') return { kind: 'header', octets: lf + 1 }
  if (family !== 'TCP4' && family !== 'TCP6') return error('unknown family')
  const [source = '', destination = '', sourcePort = '', destinationPort = ''] = words
  if (words.length !== 4) return error('not four fields after the family')
  const isAddress = family === 'TCP4' ? isV4 : isV6
  if (!isAddress(source) || !isAddress(destination)) return error(`not two ${family} addresses`)
  if (!isPort(sourcePort) || !isPort(destinationPort)) return error('not two ports')
  return { kind: 'header', octets: lf + 1, source, destination }
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

function readBinary(octets: Buffer): ProxyHeader {
  const versionCommand = octets[12] as number
  const familyTransport = octets[13] as number
  const length = octets.readUInt16BE(14)
  if (versionCommand >> 4 !== 2) return error('unknown version')
  const command = versionCommand & 0x0f
  if (command > 1) return error('unknown command')
  if (length > longestBlock) return error('header too long')
  if (octets.length < 16 + length) return incomplete
  const header = { kind: 'header', octets: 16 + length } as const
  // LOCAL: the balancer's own health check; the receiver must discard what else is there.
  if (command === 0 || familyTransport === 0x00) return header
  const width = familyTransport === 0x11 ? 4 : familyTransport === 0x21 ? 16 : 0
  if (width === 0) return error('family and transport are not TCP over IPv4 or IPv6')
  if (length < width * 2 + 4) return error('addresses cut short')
  const fault = faultInTlvs(octets.subarray(16 + width * 2 + 4, 16 + length))
  if (fault) return error(fault)
  const text = width === 4 ? textOfV4 : textOfV6
  return { ...header, source: text(octets, 16), destination: text(octets, 16 + width) }
}

/** Type, length, value after one another, and nothing left over. What they say is not used. */
function faultInTlvs(block: Buffer): string | undefined {
  let at = 0
  while (at < block.length) {
    if (at + 3 > block.length) return 'a TLV is cut short'
    at += 3 + block.readUInt16BE(at + 1)
  }
  return at === block.length ? undefined : 'a TLV is longer than the header'
}

function textOfV4(octets: Buffer, at: number): string {
  return octets.subarray(at, at + 4).join('.')
}

function textOfV6(octets: Buffer, at: number): string {
  const groups: string[] = []
  for (let i = 0; i < 16; i += 2) groups.push(octets.readUInt16BE(at + i).toString(16))
  return groups.join(':')
}
