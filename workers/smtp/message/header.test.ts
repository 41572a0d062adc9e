import { fieldsOf } from '@postern/mailauth/header.ts'
import { Signatures } from '@postern/mailauth/signatures.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readHeader } from './header.ts'

const authorIn = (header: string) => readHeader(Buffer.from(`${header}\r\n\r\nbody`, 'latin1')).author

describe('the border between our trace and a message', () => {
  const before = (text: string) => readHeader(Buffer.from(text, 'latin1')).before
  it.each([
    ['a field', 'Subject: x\r\n\r\nbody\r\n', ''],
    ['a field in obsolete form', 'Subject \t: x\r\n', ''],
    ['a field without a value', 'X:\r\n', ''],
    ['an empty line: no header', '\r\nbody\r\n', ''],
    ['an empty message', '', '\r\n'],
    ['text', 'Hello Jane,\r\nlunch?\r\n', '\r\n'],
    ['text with a colon after a blank', 'Dear all: lunch\r\n\r\nX: y\r\n', '\r\n'],
    ['a colon alone', ': x\r\n', '\r\n'],
    ['a folded line', ' folded: x\r\nSubject: y\r\n', '\r\n'],
    ['a tab', '\tx\r\n', '\r\n'],
    ['blanks alone', '  \r\nSubject: y\r\n', '\r\n'],
    ['a name beyond ASCII', 'S\xfcbject: x\r\n', '\r\n'],
    ['an mbox line', 'From jane Mon Nov 30 08:00:00 2026\r\nSubject: x\r\n', 'X-Mailbox-Line: '],
    ['an mbox line, quoted', '>From jane Mon Nov 30\r\nSubject: x\r\n', 'X-Mailbox-Line: '],
    ['an mbox line and no header', 'From jane Mon Nov 30\r\n\r\nbody\r\n', 'X-Mailbox-Line: '],
    ['text that begins like one', 'From the desk of Jane\r\nwith love\r\n', '\r\n'],
    ['a line without end', 'x', '\r\n'],
    ['a line as long as all that is read', 'x'.repeat(70_000), '\r\n'],
  ])('%s', (_name, text, border) => {
    expect(before(text)).toBe(border)
  })

  it('what may stand behind the bytes that were read is not taken for missing', () => {
    const long = Buffer.from('X: y\r\n'.repeat(10_000))
    expect(readHeader(long, false)).toMatchObject({ hasDate: true, hasMessageId: true })
    expect(readHeader(long, true)).toMatchObject({ hasDate: false, hasMessageId: false })
  })
})

describe('the author of a message that need not be read again', () => {
  it.each([
    'From: jane@a.test',
    'From:jane@a.test',
    'from: <jane@A.Test> ',
    'From: Jane Doe <jane@a.test>\r\nTo: x@b.test',
    'Subject: hello\r\nFROM: =?utf-8?q?J=C3=A4ne?= <jane@a.test>',
  ])('is seen in %j', (header) => {
    expect(authorIn(header)).toBe('a.test')
  })

  it.each([
    ['no author', 'To: x@b.test'],
    ['two', 'From: jane@a.test, x@b.test'],
    ['two fields', 'From: jane@a.test\r\nFrom: x@b.test'],
    ['two fields, one in obsolete form', 'From: jane@a.test\r\nFrom : x@b.test'],
    ['two fields, the colon of one on the next line', 'From: jane@a.test\r\nFrom\r\n : x@b.test'],
    ['a group', 'From: friends: jane@a.test;'],
    ['quotes', 'From: "x@b.test" <jane@a.test>'],
    ['a comment', 'From: jane@a.test (x@b.test)'],
    ['a folded field', 'From: jane@a.test\r\n\t, x@b.test'],
    ['an address without a dot', 'From: jane@localhost'],
    ['an address that is none', 'From: jane@a..test'],
    ['a signature', 'From: jane@a.test\r\nDKIM-Signature: v=1'],
    ['a signature in obsolete form', 'DKIM-Signature\r\n : v=1\r\nFrom: jane@a.test'],
    ['claimed results', 'Authentication-Results: x; spf=pass\r\nFrom: jane@a.test'],
    ['a bare line feed', 'X: y\nDKIM-Signature: v=1\r\nFrom: jane@a.test'],
    ['a first line that continues nothing', ' X: y\r\nFrom: jane@a.test'],
    ['a line that is no field behind it', 'From: jane@a.test\r\n<x@b.test'],
    ['an angle bracket that only closes', 'From: jane@a.test>'],
    ['an angle bracket that only opens', 'From: <jane@a.test'],
    ['a bare carriage return', 'X: y\rz\r\nFrom: jane@a.test'],
  ])('is left to a closer look: %s', (_, header) => {
    expect(authorIn(header)).toBeUndefined()
  })

  it('is left to a closer look where the header goes on beyond what is read', () => {
    expect(readHeader(Buffer.from('From: jane@a.test\r\nX: y')).author).toBeUndefined()
  })

  it('is the one that whoever reads the whole message finds, and then there is no signature and no claim', async () => {
    const piece = fc.constantFrom(
      ...[
        'From',
        'from ',
        'DKIM-Signature',
        'Authentication-Results',
        'X',
        ':',
        ': ',
        ' :',
        '\r\n',
        '\r\n ',
        '\n',
        '\r',
      ],
      ...['jane@a.test', 'x@b.test', '<', '>', ',', ' ', '\t', '"', '(', ')', ';', '\\', '\r\nFrom: jane@a.test\r\n'],
    )
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 14 }), async (pieces) => {
        const text = pieces.join('').replace(/(\r\n){2,}/g, '\r\n')
        const author = authorIn(text)
        if (author === undefined) return
        const header = Buffer.from(`${text}\r\n`, 'latin1')
        const fields = fieldsOf(header)
        expect(fields.map(({ name }) => name)).not.toContain('authentication-results')
        const signatures = await Signatures.begin({ fields, header, whole: true, wanted: true }, async () => [])
        expect(signatures.signed).toBe(false)
        expect(signatures.from).toEqual({
          from: [expect.stringMatching(new RegExp(`@${author}$`, 'i'))],
          fromFields: 1,
        })
      }),
      { numRuns: 2_000 },
    )
  })
})
