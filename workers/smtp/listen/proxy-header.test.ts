import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ProxyHeader, readProxyHeader } from './proxy-header.ts'

const signature = '\r\n\r\n\0\r\nQUIT\n'

function binary(command: number, family: number, block: Buffer): Buffer {
  const head = Buffer.alloc(16)
  head.write(signature, 'latin1')
  head[12] = command
  head[13] = family
  head.writeUInt16BE(block.length, 14)
  return Buffer.concat([head, block])
}

const v4Block = Buffer.from([192, 0, 2, 7, 198, 51, 100, 1, 0x10, 0x00, 0x00, 0x19])
const v6Block = Buffer.concat([
  Buffer.from('20010db8000000000000000000000007', 'hex'),
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from([0x10, 0, 0, 25]),
])
const tlv = Buffer.from([0x04, 0x00, 0x03, 1, 2, 3])

const good: [string, Buffer, Partial<ProxyHeader>][] = [
  [
    'v1 TCP4',
    Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 4096 25\r\n'),
    { source: '192.0.2.7', destination: '198.51.100.1' },
  ],
  ['v1 TCP6', Buffer.from('PROXY TCP6 2001:db8::7 2001:db8::1 4096 25\r\n'), { source: '2001:db8::7' }],
  ['v1 UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), {}],
  ['v1 UNKNOWN with words', Buffer.from('PROXY UNKNOWN ffff:: ffff:: 65535 65535\r\n'), {}],
  ['v2 TCP4', binary(0x21, 0x11, v4Block), { source: '192.0.2.7', destination: '198.51.100.1' }],
  ['v2 TCP4 with TLVs', binary(0x21, 0x11, Buffer.concat([v4Block, tlv, tlv])), { source: '192.0.2.7' }],
  ['v2 TCP6', binary(0x21, 0x21, v6Block), { source: '2001:db8:0:0:0:0:0:7' }],
  ['v2 LOCAL', binary(0x20, 0x00, Buffer.alloc(0)), {}],
  ['v2 LOCAL with a block', binary(0x20, 0x11, v4Block), {}],
  ['v2 UNSPEC', binary(0x21, 0x00, Buffer.from([1, 2, 3])), {}],
]

const bad: [string, Buffer][] = [
  ['no header', Buffer.from('EHLO client.test\r\n')],
  ['lower case', Buffer.from('proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n')],
  ['bare LF', Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n')],
  ['two blanks', Buffer.from('PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n')],
  ['a word too many', Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n')],
  ['leading zero', Buffer.from('PROXY TCP4 192.0.02.7 198.51.100.1 1 2\r\n')],
  ['octet 256', Buffer.from('PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n')],
  ['port 65536', Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n')],
  ['v6 as v4', Buffer.from('PROXY TCP4 2001:db8::7 198.51.100.1 1 2\r\n')],
  ['v6 with two gaps', Buffer.from('PROXY TCP6 2001::db8::7 ::1 1 2\r\n')],
  ['v6 with a zone', Buffer.from('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n')],
  ['UDP', Buffer.from('PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n')],
  ['no end', Buffer.from(`PROXY TCP4 ${'1'.repeat(120)}`)],
  ['v2 version 3', binary(0x31, 0x11, v4Block)],
  ['v2 command 2', binary(0x22, 0x11, v4Block)],
  ['v2 UDP', binary(0x21, 0x12, v4Block)],
  ['v2 unix', binary(0x21, 0x31, Buffer.alloc(216))],
  ['v2 short block', binary(0x21, 0x11, v4Block.subarray(0, 8))],
  ['v2 TLV cut', binary(0x21, 0x11, Buffer.concat([v4Block, tlv.subarray(0, 4)]))],
  ['v2 enormous', binary(0x21, 0x11, Buffer.alloc(60_000))],
]

describe('the PROXY header', () => {
  it.each(good)('%s is read, also in pieces and with what follows', (_name, header, expected) => {
    const all = Buffer.concat([header, Buffer.from('EHLO x\r\n')])
    expect(readProxyHeader(all)).toMatchObject({ kind: 'header', length: header.length, ...expected })
    if (!('source' in expected)) expect(readProxyHeader(all)).not.toHaveProperty('source')
    for (let length = 0; length < header.length; length++)
      expect(readProxyHeader(header.subarray(0, length))).toEqual({ kind: 'incomplete' })
  })

  it.each(bad)('%s is refused', (_name, bytes) => {
    expect(readProxyHeader(bytes).kind).toBe('error')
  })

  it('never throws, never reads beyond what came, and decides after 4112 bytes', () => {
    const start = fc.constantFrom(
      '',
      'PROXY ',
      'PROXY TCP4 ',
      'PROXY TCP6 ',
      signature,
      `${signature}\x21\x11\0\x0c`,
      `${signature}\x21\x21`,
    )
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 200 }), (head, tail) => {
        const bytes = Buffer.concat([Buffer.from(head, 'latin1'), tail])
        const read = readProxyHeader(bytes)
        if (read.kind === 'header') expect(read.length).toBeLessThanOrEqual(bytes.length)
        expect(readProxyHeader(Buffer.concat([bytes, Buffer.alloc(4200, 0x41)])).kind).not.toBe('incomplete')
      }),
      { numRuns: 2000 },
    )
  })

  it('reads every pair of addresses that is written down', () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.ipV4(), fc.nat(65_535), (six, four, port) => {
        expect(readProxyHeader(Buffer.from(`PROXY TCP6 ${six} ${six} ${port} 25\r\n`))).toMatchObject({ source: six })
        expect(readProxyHeader(Buffer.from(`PROXY TCP4 ${four} ${four} ${port} 25\r\n`))).toMatchObject({
          source: four,
        })
      }),
    )
  })
})
