import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Rfc, rfcs } from '@postern/contract/rfcs.ts'
import { keywordsOffered } from '@postern/smtp/commands/extensions.ts'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')

/** Returns what is missing from a row's proof: files that do not exist, or in which no test names the RFC. */
function missing({ number, tests }: Rfc): string[] {
  return tests.flatMap((file) => {
    if (!existsSync(join(root, file))) return [`${file} does not exist`]
    const code = readFileSync(join(root, file), 'utf8').replace(/^\s*(?:\/\/|\/?\*).*$/gm, '')
    return new RegExp(`['"\`][^\\n]*\\bRFC ${number}\\b`).test(code) ? [] : [`no test in ${file} names RFC ${number}`]
  })
}

describe('the table of supported RFCs', () => {
  it.each(rfcs.map((row) => [row.number, row] as const))('RFC %i has the tests it names', (_number, row) => {
    expect(missing(row)).toEqual([])
  })

  it('is in order, without duplicates', () => {
    const numbers = rfcs.map(({ number }) => number)
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
  })

  it('has a row for every keyword that EHLO may offer, and no other keyword', () => {
    expect(rfcs.flatMap(({ keywords }) => keywords).sort()).toEqual([...keywordsOffered].sort())
  })
})
