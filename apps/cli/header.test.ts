import { expect, it } from 'vitest'
import { addressesIn, recipientsIn, splitMessage } from './header.ts'

it.each([
  ['a@b.test', ['a@b.test']],
  [' a@b.test ,\r\n\tc@d.test', ['a@b.test', 'c@d.test']],
  ['Ann <a@b.test>, "Bo, B." <c@d.test>', ['a@b.test', 'c@d.test']],
  ['"an <x@y.test>" <a@b.test>', ['a@b.test']],
  ['"quoted, local"@b.test', ['"quoted, local"@b.test']],
  ['<"with > angle"@b.test>', ['"with > angle"@b.test']],
  ['a@b.test (Ann, (really) \\) here)', ['a@b.test']],
  ['team: a@b.test, Bo <c@d.test>;, e@f.test', ['a@b.test', 'c@d.test', 'e@f.test']],
  ['undisclosed-recipients:;', []],
  ['<@old.test,@older.test:a@b.test>', ['a@b.test']],
  ['root', ['root']],
  ['', []],
  [',,', []],
  ['"never ended', ['"never ended']],
  ['(never ended', []],
  ['=?utf-8?q?J=C3=BCrg?= <j@b.test>', ['j@b.test']],
])('%j holds %j', (list, addresses) => {
  expect(addressesIn(list)).toEqual(addresses)
})

it('takes the recipients from Resent- fields if there are any, each address once', () => {
  const fields = (text: string) => splitMessage(text).fields
  expect(recipientsIn(fields('To: a@b.test\nCC: c@d.test\nBcc:\n e@f.test,a@b.test\n\nTo: body@b.test\n'))).toEqual([
    'a@b.test',
    'c@d.test',
    'e@f.test',
  ])
  expect(recipientsIn(fields('To: a@b.test\nResent-To: r@b.test\n\n'))).toEqual(['r@b.test'])
})

it('treats text that is not a header as body', () => {
  expect(splitMessage('hello\nTo: a@b.test\n')).toEqual({ fields: [], rest: '\r\nhello\nTo: a@b.test\n' })
  expect(splitMessage('Subject: x\n')).toEqual({ fields: [{ name: 'subject', text: 'Subject: x\n' }], rest: '' })
  expect(splitMessage('Subject: x\r\n folded\r\n\r\nbody').rest).toBe('\r\nbody')
})
