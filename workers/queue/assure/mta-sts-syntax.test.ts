import { describe, expect, test } from 'vitest'
import { parsePolicy, policyIdIn } from './mta-sts-syntax.ts'

describe('the TXT record (RFC 8461 §3.1)', () => {
  test.each<[string, string[]]>([
    ['plain', ['v=STSv1; id=20160831085700Z;']],
    ['without the last semicolon', ['v=STSv1; id=20160831085700Z']],
    ['without blanks', ['v=STSv1;id=20160831085700Z']],
    ['blanks and tabs around semicolons', ['v=STSv1 \t; \t id=20160831085700Z \t ; ']],
    ['an extension before', ['v=STSv1; foo=bar; id=20160831085700Z;']],
    ['extensions after', ['v=STSv1; id=20160831085700Z; a.b-c_d=!:<>~; 9=x']],
    ['a name of 32', [`v=STSv1; id=20160831085700Z; ${'n'.repeat(32)}=x`]],
    ['the first id counts', ['v=STSv1; id=20160831085700Z; id=2']],
    ['other records beside it', ['v=spf1 -all', 'v=STSv10; id=3', 'v=STSv1; id=20160831085700Z']],
  ])('%s', (_name, records) => {
    expect(policyIdIn(records)).toBe('20160831085700Z')
  })

  test.each<[string, string[]]>([
    ['none', []],
    ['two', ['v=STSv1; id=1', 'v=STSv1; id=2']],
    ['the version in small letters', ['v=stsv1; id=1']],
    ['a blank before the version', [' v=STSv1; id=1']],
    ['a blank within the version', ['v = STSv1; id=1']],
    ['the version alone', ['v=STSv1;']],
    ['no id', ['v=STSv1; foo=bar']],
    ['an empty id', ['v=STSv1; id=']],
    ['an id of 33', [`v=STSv1; id=${'1'.repeat(33)}`]],
    ['an id with a hyphen', ['v=STSv1; id=2016-08-31']],
    ['blanks around =', ['v=STSv1; id = 1']],
    ['an empty field', ['v=STSv1;; id=1']],
    ['two semicolons at the end', ['v=STSv1; id=1;;']],
    ['an extension without a value', ['v=STSv1; id=1; foo=']],
    ['an extension without =', ['v=STSv1; id=1; foo']],
    ['= in the value of an extension', ['v=STSv1; id=1; foo=a=b']],
    ['a blank in the value of an extension', ['v=STSv1; id=1; foo=a b']],
    ['a name that begins with a hyphen', ['v=STSv1; id=1; -foo=a']],
    ['a name of 33', [`v=STSv1; id=1; ${'n'.repeat(33)}=x`]],
    ['bytes above 127', ['v=STSv1; id=1; foo=\u00e4']],
    ['a blank at the end without a semicolon', ['v=STSv1; id=1 ']],
  ])('refused: %s', (_name, records) => {
    expect(policyIdIn(records)).toBeUndefined()
  })
})

describe('the policy (RFC 8461 §3.2)', () => {
  const lines = ['version: STSv1', 'mode: enforce', 'mx: mail.example.com', 'mx: *.example.net', 'max_age: 604800']
  const expected = { mode: 'enforce', mx: ['mail.example.com', '*.example.net'], maxAge: 604_800 }
  const with_ = (...more: string[]) => [...lines, ...more].join('\r\n')

  test.each<[string, string]>([
    ['CRLF', `${lines.join('\r\n')}\r\n`],
    ['LF', `${lines.join('\n')}\n`],
    ['both, and no end of the last line', lines.join('\n').replace('\n', '\r\n')],
    ['in another order', [...lines.slice(2, 3), ...lines.slice(3), ...lines.slice(0, 2)].join('\n')],
    ['no blanks', lines.join('\n').replaceAll(' ', '')],
    ['blanks and tabs after the colon and at the end', lines.join(' \t\r\n').replaceAll(': ', ':\t  ')],
    ['an extension', with_('stsv1-ext.name_1: any value: with; = and colons')],
    ['an extension in UTF-8', with_('note: \u00fcber \u2603 \u{1f4e7}')],
    ['an extension of one character', with_('x:y')],
    ['a name of 32', with_(`${'n'.repeat(32)}: x`)],
    ['fields that stand twice: the first counts', with_('mode: none', 'version: STSv2', 'max_age: 1', 'x: 1', 'x: 2')],
    ['the same mx twice', with_('mx: MAIL.example.com')],
    ['empty lines at the end', `${with_()}\r\n\r\n\n`],
  ])('%s', (_name, text) => {
    expect(parsePolicy(text)).toEqual(expected)
  })

  test('mode none needs no mx', () => {
    expect(parsePolicy('version: STSv1\nmode: none\nmax_age: 0\n')).toEqual({ mode: 'none', mx: [], maxAge: 0 })
  })

  test.each<[string, string, RegExp]>([
    ['nothing', '', /no version/],
    ['no version', lines.slice(1).join('\n'), /no version/],
    ['another version', with_().replace('STSv1', 'STSv2'), /version is "STSv2"/],
    ['no mode', [lines[0], ...lines.slice(2)].join('\n'), /no mode/],
    ['a mode in capitals', with_().replace('enforce', 'Enforce'), /mode is/],
    ['a field name in capitals', with_().replace('mode', 'Mode'), /no mode/],
    ['no max_age', lines.slice(0, -1).join('\n'), /no max_age/],
    ['a max_age that is no number', with_().replace('604800', '1w'), /max_age is "1w"/],
    ['a negative max_age', with_().replace('604800', '-1'), /max_age/],
    ['a max_age of eleven digits', with_().replace('604800', '00000604800'), /max_age/],
    ['a max_age over a year', with_().replace('604800', '31557601'), /at most/],
    ['no mx', [...lines.slice(0, 2), lines[4]].join('\n'), /no mx/],
    ['an mx that is no name', with_('mx: -x-.example'), /mx is/],
    ['an mx with the asterisk elsewhere', with_('mx: a.*.example'), /mx is/],
    ['an mx with a port', with_('mx: a.example:25'), /mx is/],
    ['an empty mx', with_('mx:'), /not a field/],
    ['a line without a colon', with_('hello'), /not a field/],
    ['a blank before the colon', with_('foo : bar'), /not a field/],
    ['a folded line', with_(' folded: x'), /not a field/],
    ['an empty line in between', with_().replace('\r\n', '\r\n\r\n'), /not a field/],
    ['an extension without a value', with_('foo: '), /not a field/],
    ['a name that begins with a hyphen', with_('-foo: x'), /not a field/],
    ['a name of 33', with_(`${'n'.repeat(33)}: x`), /not a field/],
    ['a control character in a value', with_('foo: a\x07b'), /not a field/],
    ['a tab within a value', with_('foo: a\tb'), /not a field/],
    ['a bare CR', lines.join('\r'), /not a field/],
    ['a byte order mark', `\ufeff${with_()}`, /not a field/],
  ])('refused: %s', (_name, text, wrong) => {
    expect(() => parsePolicy(text)).toThrow(wrong)
  })
})
