import { describe, expect, it } from 'vitest'
import { decideMail } from '../decide.ts'
import { examplePolicy, mailFacts, saidBy } from '../test/example.ts'

describe('sender-syntax', () => {
  const ask = (senderText: string, facts = {}) =>
    saidBy(decideMail(mailFacts({ senderText, ...facts }), examplePolicy()))

  it('takes addresses and the null sender', () => {
    for (const sender of ['', 'eve@remote.example', '"eve at home"@remote.example', 'eve@[192.0.2.1]'])
      expect(ask(sender)).toBe('proceed')
  })

  it('refuses what is no address', () => {
    for (const sender of ['eve@', '@remote.example', 'eve@re mote', 'a@b@c', 'eve@[300.1.1.1]', ' ', 'eve@-'])
      expect(ask(sender)).toBe('501 5.1.7 senderSyntax')
  })

  it('wants SMTPUTF8 for what is beyond ASCII', () => {
    expect(ask('zoë@remote.example')).toBe('553 5.6.7 smtpUtf8Required')
    expect(ask('eve@bücher.example')).toBe('553 5.6.7 smtpUtf8Required')
    expect(ask('zoë@remote.example', { smtpUtf8: true })).toBe('proceed')
  })
})
