import { cpuTime } from '@postern/net/test/cpu-time.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BodyScanner } from './body-scanner.ts'

type Result = { body: string; used: number; bare: boolean; nul: boolean; size: number }

/** Feeds the bytes cut at the given places; `used` counts over all packets, -1 when no end was found. */
function scan(bytes: Buffer, cuts: readonly number[] = []): Result {
  const scanner = new BodyScanner()
  const out: Buffer[] = []
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  let from = 0
  let used = -1
  for (const to of [...places, bytes.length]) {
    if (to === from) continue
    const end = scanner.scan(Buffer.from(bytes.subarray(from, to)), out)
    if (end !== -1) {
      used = from + end
      break
    }
    from = to
  }
  const { bareLineFeeds: bare, nulOctets: nul, size } = scanner
  return { body: Buffer.concat(out).toString('latin1'), used, bare, nul, size }
}

/** The same in the plainest words: RFC 5321 §4.5.2 over the whole text. */
function reference(text: string): Result {
  const end = text.startsWith('.\r\n') ? 0 : text.indexOf('\r\n.\r\n') + 2
  const used = end === 0 && !text.startsWith('.\r\n') ? -1 : end + 3
  const raw = used === -1 ? text : text.slice(0, end)
  const plain = raw.replace(/(^|\r\n)\./g, '$1')
  return {
    body: plain.replace(/\r\n|\r|\n/g, '\r\n'),
    used,
    bare: /\r(?!\n)|(?<!\r)\n/.test(raw),
    nul: raw.includes('\0'),
    size: plain.length,
  }
}

const tricky = fc.array(
  fc.constantFrom('\r', '\n', '.', '\r\n', '\r\n.', '.\r\n', '\r\n.\r\n', 'a', 'text', '\0', '..', '\n.\n'),
  {
    maxLength: 60,
  },
)

describe('the body scanner', () => {
  it('agrees with the reference for every text that ends, whatever the packets', () => {
    fc.assert(
      fc.property(tricky, fc.array(fc.nat(400), { maxLength: 12 }), (parts, cuts) => {
        const text = `${parts.join('')}\r\n.\r\n`
        expect(scan(Buffer.from(text, 'latin1'), cuts)).toEqual(reference(text))
      }),
      { numRuns: 3000 },
    )
  })

  it('says the same in one packet and byte by byte, for bytes of every kind', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const whole = Buffer.from([...bytes, 13, 10, 46, 13, 10])
        expect(scan(whole, [...whole.keys()])).toEqual(scan(whole))
      }),
    )
  })

  it('switches from searching to counting bytes without a trace', () => {
    const shapes = ['x'.repeat(70), '', '.', 'a', '..b', '\r', '\n', 'y'.repeat(2000)]
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...shapes), fc.integer({ min: 1, max: 120 })), { maxLength: 12 }),
        fc.array(fc.nat(100_000), { maxLength: 6 }),
        (runs, cuts) => {
          const text = `${runs.map(([line, times]) => `${line}\r\n`.repeat(times)).join('')}.\r\n`
          expect(scan(Buffer.from(text, 'latin1'), cuts)).toEqual(reference(text))
        },
      ),
      { numRuns: 300 },
    )
  })

  it.each([
    ['LF.LF', 'a\n.\nb'],
    ['LF.CRLF', 'a\n.\r\nb'],
    ['CRLF.LF', 'a\r\n.\nb'],
    ['CR.CRLF', 'a\r.\r\nb'],
    ['CRLF.CR', 'a\r\n.\rb'],
    ['CR.CR', 'a\r.\rb'],
    ['CRLF NUL . CRLF', 'a\r\n\0.\r\nb'],
  ])('does not take %s for the end', (_name, text) => {
    for (let cut = 0; cut <= text.length; cut++) expect(scan(Buffer.from(text, 'latin1'), [cut]).used).toBe(-1)
  })

  it('never gives on a bare CR or LF', () => {
    fc.assert(
      fc.property(tricky, (parts) => {
        const { body } = scan(Buffer.from(`${parts.join('')}\r\n.\r\n`, 'latin1'))
        expect(/\r(?!\n)|(?<!\r)\n/.test(body)).toBe(false)
      }),
    )
  })

  it('needs for a body of stuffed dots no more than in proportion', () => {
    const scanned = (line: string) => {
      const body = Buffer.from(line.repeat(Math.ceil((4 << 20) / line.length)), 'latin1')
      return () => {
        const scanner = new BodyScanner()
        for (let at = 0; at < body.length; at += 65_536) scanner.scan(body.subarray(at, at + 65_536), [])
      }
    }
    const shapes = { dots: '..\r\n', 'dot lines': `.${'x'.repeat(72)}\r\n`, feeds: '\n', returns: '\r' }
    const looked = Buffer.alloc(4 << 20, 97)
    const lookAtEachByte = () => {
      let lineEnds = 0
      for (let i = 0; i < looked.length; i++) if (looked[i] === 10 || looked[i] === 13) lineEnds++
      return lineEnds
    }
    const each = cpuTime(lookAtEachByte)
    const ratios = Object.values(shapes).map((line) => Math.round(cpuTime(scanned(line)) / each))
    console.log(
      `CPU time beside a loop over 4 MiB (${each.toFixed(0)} µs): ${Object.keys(shapes).join(', ')} = ${ratios.join(', ')}`,
    )
    // smtp-server 3.21.6 needs more than 250 ms a MiB for the first of these.
    for (const ratio of ratios) expect(ratio).toBeLessThan(60)
  })
})
