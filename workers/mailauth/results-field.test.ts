import type { Findings } from '@postern/contract/mailauth.ts'
import { describe, expect, it } from 'vitest'
import { resultsField } from './results-field.ts'

const field = (findings: Findings, more = {}) =>
  resultsField({ hostname: 'mx.home.test', findings, nullSender: false, ...more })

describe('the Authentication-Results field', () => {
  it('says none when nothing was asked', () => {
    expect(field({})).toBe('Authentication-Results: mx.home.test; none\r\n')
    expect(field({}, { loggedIn: true })).toBe('Authentication-Results: mx.home.test;\r\n\tauth=pass\r\n')
  })

  it('names whom SPF was asked about', () => {
    const spf = { result: 'pass', domain: 'a.test' } as const
    expect(field({ spf })).toContain('spf=pass smtp.mailfrom=a.test')
    expect(field({ spf }, { nullSender: true })).toContain('spf=pass smtp.helo=a.test')
  })

  it('nothing that a stranger wrote leaves its place', () => {
    const evil = 'a.test; dkim=pass\r\nX-Evil: yes\r\n\r\n"(\\'
    const text = field({
      spf: { result: 'none', domain: evil },
      dkim: [{ result: 'fail', domain: evil, selector: evil, because: `${evil})` }],
      dmarc: { result: 'permerror', policy: 'none', domain: 'x'.repeat(255) },
    })
    expect(text.split('\r\n')).toHaveLength(5)
    for (const line of text.split('\r\n').slice(1, -1)) expect(line).toMatch(/^\t(dkim|spf|dmarc)=/)
    expect(text).not.toMatch(/[^\x20-\x7e\r\n\t]/)
    // Outside of quotes and comments there is no result but ours.
    const bare = text.replace(/"(?:[^"\\]|\\.)*"/gs, '').replace(/\((?:[^()\\]|\\.)*\)/gs, '')
    expect(bare.match(/\w+=(pass|fail|none|permerror)/g)).toEqual(['dkim=fail', 'spf=none', 'dmarc=permerror'])
  })

  it('a domain beyond ASCII is an A-label', () => {
    expect(field({ spf: { result: 'pass', domain: 'b\u00fccher.example' } })).toContain(
      'smtp.mailfrom=xn--bcher-kva.example',
    )
  })
})
