import { describe, expect, it } from 'vitest'
import { decideMail } from '../decide.ts'
import { examplePolicy, mailFacts, saidBy } from '../test/example.ts'

describe('kill-file', () => {
  const policy = examplePolicy({ lists: { kill: ['@*spam.example', 'eve@remote.example'], white: ['0.0.0.0/0'] } })
  const ask = (senderText: string) => decideMail(mailFacts({ senderText }), policy)

  it('refuses the sender in the words of the old product, and names the entry to the administrator only', () => {
    const verdict = ask('x@notspam.example')
    expect(saidBy(verdict)).toBe('501 5.7.1 killFile')
    expect(verdict.explanation).toEqual(['The sender x@notspam.example matches the Kill File entry @*spam.example.'])
    expect(JSON.stringify(verdict.outcome)).not.toContain('spam.example')
  })

  it('holds for the White List and for logins', () => {
    expect(saidBy(decideMail(mailFacts({ senderText: 'eve@remote.example', login: 'jane@example.org' }), policy))).toBe(
      '501 5.7.1 killFile',
    )
  })

  it('has nothing against others, nor against the null sender', () => {
    expect(saidBy(ask('steve@remote.example'))).toBe('proceed')
    expect(saidBy(ask(''))).toBe('proceed')
  })

  it('reads host delimiters as the settings say', () => {
    const delimited = examplePolicy({
      settings: { advanced: { hostDelimiters: '%' } },
      lists: { kill: ['eve@remote.example'] },
    })
    expect(saidBy(decideMail(mailFacts({ senderText: 'eve%remote.example@example.org' }), delimited))).toBe(
      '501 5.7.1 killFile',
    )
  })
})
