import { parseMailAddress } from '@postern/contract/address.ts'
import { growth, superlinear } from '@postern/net/test/cpu-time.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseLine } from './parse-line.ts'
import { readPath } from './path.ts'

/** What stands on the wire, read as the receiver reads it: the path, and the parameters as written. */
function read(line: string): string {
  const parsed = parseLine(line, { greeted: true, afterAuth: false })
  if (parsed.kind !== 'command') return parsed.kind
  const said = readPath(parsed.argument, parsed.command.verb === 'MAIL' ? 'FROM:' : 'TO:')
  if ('detail' in said) return `${said.of}: ${said.detail}`
  const { path, parameters } = said
  return [`<${path}>`, ...parameters.map(([key, value]) => (value === null ? key : `${key}=${value}`))].join(' ')
}

describe('MAIL and RCPT as devices write them', () => {
  it.each([
    ['MAIL FROM:<jane@example.org>', '<jane@example.org>'],
    ['MAIL FROM:<> SIZE=10 BODY=8BITMIME', '<> SIZE=10 BODY=8BITMIME'],
    // mjl-/mox issue 101 (Korean Air, Epic Games) and KumoMTA pull request 559: blanks and tabs after the colon.
    ['MAIL FROM: <no-reply@koreanair.com>', '<no-reply@koreanair.com>'],
    ['MAIL FROM:\t <no-reply@koreanair.com> SIZE=5', '<no-reply@koreanair.com> SIZE=5'],
    ['RCPT TO:   <Postmaster>', '<Postmaster>'],
    // RFC 5321 §3.3 says of blanks on either side of the colon that they are a common error.
    ['MAIL FROM : <jane@example.org>', '<jane@example.org>'],
    // cosullivan/SmtpServer issue 219 (LSI MegaRAID), blueimp/aws-smtp-relay issue 7, emersion/go-smtp issue 11: no brackets.
    ['MAIL FROM:raid@example.org', '<raid@example.org>'],
    ['MAIL FROM: craig@example.com SIZE=12', '<craig@example.com> SIZE=12'],
    ['RCPT TO: "jane doe"@example.org NOTIFY=NEVER', '<"jane doe"@example.org> NOTIFY=NEVER'],
    ['MAIL FROM:jane@example.org AUTH=<>', '<jane@example.org> AUTH=<>'],
    ['RCPT TO:root', '<root>'],
    // Postfix takes phrases and white space in paths unless strict_rfc821_envelopes is set.
    ['MAIL FROM:<  jane@example.org\t>', '<jane@example.org>'],
    ['MAIL FROM:Scanner 2nd floor <scan@example.org>', '<scan@example.org>'],
    ['MAIL FROM:"Doe, Jane" <jane@example.org> SIZE=1', '<jane@example.org> SIZE=1'],
    ['MAIL FROM:<<jane@example.org>> SIZE=1', '<jane@example.org> SIZE=1'],
    ['MAIL FROM:<jane@example.org>SIZE=1', '<jane@example.org> SIZE=1'],
    // Sent in lower case, with two blanks, with a tab: Postfix splits commands at white space.
    ['mail from:<jane@example.org> size=10 body=8bitmime', '<jane@example.org> SIZE=10 BODY=8bitmime'],
    ['MAIL  FROM:<jane@example.org>  SIZE=10\tBODY=7BIT  ', '<jane@example.org> SIZE=10 BODY=7BIT'],
    [' \tMAIL\tFROM:<jane@example.org>', '<jane@example.org>'],
    ['MAIL FROM:<jane@example.org> SIZE=', '<jane@example.org> SIZE='],
    ['MAIL FROM:<jane@example.org> AUTH=<> SIZE', '<jane@example.org> AUTH=<> SIZE'],
    // A quoted local part may hold what ends a path elsewhere (RFC 5321 §4.1.2).
    ['MAIL FROM:<"a > b"@remote.test>', '<"a > b"@remote.test>'],
    ['MAIL FROM:< "a > b"@remote.test >', '<"a > b"@remote.test>'],
    ['RCPT TO:<@a.example,@b.example:jane@example.org>', '<@a.example,@b.example:jane@example.org>'],
  ])('%j is %s', (line, said) => {
    expect(read(line)).toBe(said)
  })

  it.each([
    ['MAIL FROM:', 'path: expected FROM:<address>'],
    ['MAIL FROM', 'path: expected FROM:<address>'],
    ['MAIL TO:<jane@example.org>', 'path: expected FROM:<address>'],
    ['MAIL FROMAGE:<jane@example.org>', 'path: expected FROM:<address>'],
    ['MAIL FROM:<jane@example.org', 'path: no closing angle bracket'],
    ['MAIL FROM:<"jane@example.org>', 'path: no closing angle bracket'],
    ['MAIL FROM:jane@example.org>', 'path: no opening angle bracket'],
    ['MAIL FROM:"jane@example.org', 'path: expected FROM:<address>'],
    ['MAIL FROM:<<jane@example.org>', 'path: an angle bracket within the address'],
    ['MAIL FROM:<jane@example.org> =10', 'parameters: expected KEY or KEY=value'],
    ['MAIL FROM:<jane@example.org>>', 'parameters: expected KEY or KEY=value'],
    ['MAIL FROM:<jane@example.org> <eve@example.org>', 'parameters: expected KEY or KEY=value'],
    ['MAIL FROM:<jane@example.org> SIZE=1 SIZE=2', 'parameters: SIZE is given twice'],
  ])('%j is refused: %s', (line, said) => {
    expect(read(line)).toBe(said)
  })

  it('never throws, lets no control character into an address, and what it gives is read again as the same mailbox', () => {
    const piece = fc.constantFrom(
      ...[
        'FROM:',
        'from',
        ':',
        '<',
        '>',
        '"',
        '\\',
        '@',
        ',',
        ' ',
        '\t',
        '.',
        '..',
        'jane',
        'example.org',
        '[192.0.2.1]',
      ],
      ...[
        '\x01',
        '\x7f',
        '\r',
        '\n',
        '\0',
        '\u0085',
        '\u2028',
        'é',
        'Jane Doe',
        'SIZE=',
        '=',
        '<>',
        '[]',
        '%',
        'a'.repeat(80),
      ],
    )
    const line = fc.oneof(
      fc.array(piece, { maxLength: 14 }).map((pieces) => `FROM:${pieces.join('')}`),
      fc.array(piece, { maxLength: 14 }).map((pieces) => `FROM:<${pieces.join('')}@example.org>`),
      fc.string({ unit: 'binary', maxLength: 60 }),
    )
    fc.assert(
      fc.property(line, (text) => {
        const said = readPath(text, 'FROM:')
        if ('detail' in said) return
        const address = parseMailAddress(said.path)
        if (!address) return
        expect(address.text).not.toMatch(/[\0-\x1f\x7f-\x9f\u2028\u2029]/)
        const again = readPath(`FROM:<${address.text}>`, 'FROM:')
        expect(again).toEqual({ path: address.text, parameters: [] })
        expect(parseMailAddress(address.text)).toEqual(address)
      }),
      { numRuns: 20_000 },
    )
  })

  it('reading takes linear time', () => {
    for (const piece of [' ', '\t', '"', '<', 'a ', '\\', '@a,']) {
      const mail = (size: number) => {
        for (let i = 0; i < 20; i++) read(`MAIL FROM:${piece.repeat(size / piece.length)}!`)
      }
      expect(growth(140, mail), JSON.stringify(piece)).toBeLessThan(superlinear)
    }
    expect(growth(12_000, (size) => read(`AUTH ${' '.repeat(size)}!`))).toBeLessThan(superlinear)
  })
})
