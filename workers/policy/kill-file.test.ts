import { foldAddress, parseMailAddress } from '@postern/contract/address.ts'
import { killValueSchema } from '@postern/contract/lists.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { emptyKillFile, findKill, withKill } from './kill-file.ts'
import { noon } from './test/example.ts'

type Given = string | { value: string; expiresAt?: string }

function fileOf(...entries: Given[]) {
  return entries
    .map((entry) => (typeof entry === 'string' ? { value: entry } : entry))
    .map((entry) => ({ ...entry, createdBy: 'test', createdAt: '2026-01-01T00:00:00Z' }))
    .reduce(withKill, emptyKillFile(entries.length))
}

function find(entries: Given[], sender: string, now = noon): string | undefined {
  return findKill(fileOf(...entries), parseMailAddress(sender) ?? never(sender), now)
}

describe('the Kill File', () => {
  it('knows an address without regard to case', () => {
    expect(find(['eve@remote.example'], 'Eve@Remote.Example')).toBe('eve@remote.example')
    expect(find(['eve@remote.example'], '"eve"@remote.example')).toBe('eve@remote.example')
    expect(find(['eve@remote.example'], 'steve@remote.example')).toBeUndefined()
    expect(find(['eve@remote.example'], 'eve@sub.remote.example')).toBeUndefined()
  })

  it('knows a host, and not the hosts below it', () => {
    expect(find(['@remote.example'], 'anyone@remote.example')).toBe('@remote.example')
    expect(find(['@remote.example'], 'anyone@sub.remote.example')).toBeUndefined()
    expect(find(['@remote.example'], 'anyone@notremote.example')).toBeUndefined()
    expect(find(['@[192.0.2.1]'], 'anyone@[192.0.2.1]')).toBe('@[192.0.2.1]')
  })

  it('knows a suffix wherever it begins', () => {
    for (const host of ['spam.example', 'notspam.example', 'very.spam.example'])
      expect(find(['@*spam.example'], `anyone@${host}`)).toBe('@*spam.example')
    expect(find(['@*spam.example'], 'anyone@pam.example')).toBeUndefined()
    expect(find(['@*spam.example'], 'spam.example@ham.example')).toBeUndefined()
    expect(find(['@*e'], 'anyone@spam.example')).toBe('@*e')
    expect(find(['@*.example'], 'anyone@example')).toBeUndefined()
  })

  it('matches domains in their ASCII form', () => {
    expect(find(['@xn--bcher-kva.example'], 'anyone@Bücher.example')).toBe('@xn--bcher-kva.example')
  })

  it('ignores expired entries, also beside one that lives', () => {
    const expiresAt = '2026-11-22T12:00:00Z'
    expect(find([{ value: '@remote.example', expiresAt }], 'eve@remote.example')).toBeUndefined()
    expect(find([{ value: '@remote.example', expiresAt }], 'eve@remote.example', noon - 1)).toBe('@remote.example')
    expect(find([{ value: '@remote.example', expiresAt }, '@remote.example'], 'eve@remote.example')).toBe(
      '@remote.example',
    )
  })

  it('refuses an entry that is none', () => {
    expect(() => fileOf('remote.example')).toThrow('"remote.example"')
  })

  it('agrees with reading the list from top to bottom', () => {
    const label = fc.stringMatching(/^[ab]{1,3}$/)
    const host = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'))
    const entry = fc
      .oneof(
        fc.tuple(label, host).map(([local, domain]) => `${local}@${domain}`),
        host.map((domain) => `@${domain}`),
        fc.stringMatching(/^[ab.]{0,4}[ab]$/).map((suffix) => `@*${suffix}`),
      )
      .map((value) => killValueSchema.parse(value))
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 40 }), label, host, (entries, local, domain) => {
        const found = findKill(fileOf(...entries), { local, domain }, noon)
        const expected = entries.filter((value) => matches(value, local, domain))
        if (expected.length === 0) expect(found).toBeUndefined()
        else expect(expected).toContain(found)
      }),
      { numRuns: 2000 },
    )
  })

  it('finds every one of 100 000 entries and nothing else', () => {
    const values = Array.from({ length: 100_000 }, (_, i) => entryNo(i))
    const file = fileOf(...values)
    for (let i = 0; i < values.length; i += 7) {
      const at = entryNo(i).replace('@*', '@').replace(/^@/, 'anyone@').lastIndexOf('@')
      const sender = entryNo(i).replace('@*', '@').replace(/^@/, 'anyone@')
      expect(findKill(file, { local: sender.slice(0, at), domain: sender.slice(at + 1) }, noon)).toBe(entryNo(i))
      expect(findKill(file, { local: 'friend', domain: `nice${i}.test` }, noon)).toBeUndefined()
    }
  })
})

function entryNo(i: number): string {
  if (i % 3 === 0) return `user${i}@host${i}.example`
  return i % 3 === 1 ? `@h${i}.example` : `@*s${i}.example`
}

function matches(value: string, local: string, domain: string): boolean {
  if (value.startsWith('@*')) return domain.endsWith(value.slice(2))
  return value.startsWith('@') ? value === `@${domain}` : value === foldAddress({ local, domain })
}

function never(value: string): never {
  throw new Error(value)
}
