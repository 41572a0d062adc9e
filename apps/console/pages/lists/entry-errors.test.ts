import { listNames } from '@postern/contract/lists.ts'
import { describe, expect, it } from 'vitest'
import { entryErrors } from './entry-errors.ts'

describe.each(listNames)('a new entry of %s', (list) => {
  it('has its error beside the control, in words of the control', () => {
    const errors = entryErrors(list, { value: '', expiresAt: '' })
    expect(errors.value).toBeTruthy()
    expect(errors.expiresAt).toBe('must be a date and time')
    expect(JSON.stringify(errors)).not.toMatch(/expiresAt is|RFC|2026-/)
  })

  it('has no error without an expiry', () => {
    expect(entryErrors(list, { value: example[list] })).toEqual({})
  })
})

const example = {
  'control-access': '192.0.2.0/24',
  kill: '@*spam.example',
  accept: 'partner.example',
  white: '198.51.100.7',
  relay: '192.0.2.1',
}
