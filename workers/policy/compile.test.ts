import { applyRow, type Replica, rowKinds } from '@postern/contract/rows.ts'
import { describe, expect, it, vi } from 'vitest'
import { type CompileOptions, compileInSlices, compilePolicy, compileSteps } from './compile.ts'
import { decideMail, decideRcpt } from './decide.ts'
import type { Policy } from './policy.ts'
import { exampleReplica, mailFacts, rcptFacts, saidBy } from './test/example.ts'

const created = { createdBy: 'test', createdAt: '2026-01-01T00:00:00Z' }

describe('compiling', () => {
  it('works from nothing: every setting at its default, nobody local', () => {
    const policy = compilePolicy(exampleReplica({ domains: [], accounts: [], aliases: {}, groups: {} }), 0)
    expect(policy.settings.advanced.maxRecipients).toBe(1000)
    expect(saidBy(decideRcpt(rcptFacts(), policy))).toBe('550 5.7.1 relayDenied')
  })

  it('fills a key that the row does not have yet', () => {
    const replica = exampleReplica()
    replica.settings.set('general', { relayMode: 'none' } as never)
    const { general } = compilePolicy(replica, 1).settings
    expect(general).toMatchObject({ relayMode: 'none', maxMessageBytes: 26_214_400 })
  })

  it('stays as it was when the replica goes on', () => {
    const replica = exampleReplica({ lists: { kill: ['@a.example'], relay: ['192.0.2.1'], accept: ['b.example'] } })
    const policy = compilePolicy(replica, 1)
    for (const kind of rowKinds) replica[kind].clear()
    applyRow(replica, { kind: 'kill', id: 'new', value: { value: '@c.example', ...created } })
    expect(saidBy(decideMail(mailFacts({ senderText: 'x@a.example' }), policy))).toBe('501 5.7.1 killFile')
    expect(saidBy(decideMail(mailFacts({ senderText: 'x@c.example' }), policy))).toBe('proceed')
    expect(saidBy(decideRcpt(rcptFacts(), policy))).toBe('proceed')
    expect(saidBy(decideRcpt(rcptFacts({ recipientText: 'x@y.example', ip: '192.0.2.1' }), policy))).toBe('proceed')
  })

  it.each(rowKinds)('compiles only what changed: %s', (kind) => {
    const replica = exampleReplica({ lists: { kill: ['@a.example'] } })
    const previous = compilePolicy(replica, 1)
    const next = compilePolicy(replica, 2, { previous, changed: new Set([kind]) })
    const directory = ['domain', 'account', 'alias', 'group'].includes(kind)
    expect(next.revision).toBe(2)
    expect(next.proceed.mail.revision).toBe(2)
    expect(next.settings === previous.settings).toBe(kind !== 'settings')
    expect(next.kill === previous.kill).toBe(true)
    expect(next.controlAccess === previous.controlAccess).toBe(kind !== 'control-access')
    expect(next.white === previous.white).toBe(kind !== 'white')
    expect(next.relay === previous.relay).toBe(kind !== 'relay')
    expect(next.accept === previous.accept).toBe(kind !== 'accept')
    expect(next.directory === previous.directory).toBe(!directory)
  })

  describe('a Kill File that changes', () => {
    const refuses = (policy: Policy, senderText: string) =>
      decideMail(mailFacts({ senderText }), policy).outcome.kind === 'refuse'
    const changed = new Set(['kill'] as const)
    const start = () => {
      const replica = exampleReplica({
        lists: { kill: ['@a.example', { value: '@b.example', expiresAt: '2027-01-01T00:00:00Z' }] },
      })
      return { replica, previous: compilePolicy(replica, 1) }
    }

    it('adds to the table, and the policy before does not see it', () => {
      const { replica, previous } = start()
      replica.kill.set('c', { value: '@*c.example', ...created })
      const next = compilePolicy(replica, 2, { previous, changed })
      expect(next.kill.table).toBe(previous.kill.table)
      expect(['a', 'b', 'c'].map((name) => refuses(next, `x@${name}.example`))).toEqual([true, true, true])
      expect(['a', 'b', 'c'].map((name) => refuses(previous, `x@${name}.example`))).toEqual([true, true, false])
    })

    it('does not let two successors of one policy meet', () => {
      const { replica, previous } = start()
      replica.kill.set('c', { value: '@c.example', ...created })
      const one = compilePolicy(replica, 2, { previous, changed })
      replica.kill.set('c', { value: '@d.example', ...created })
      const two = compilePolicy(replica, 2, { previous, changed })
      expect([one, two].map((policy) => [refuses(policy, 'x@c.example'), refuses(policy, 'x@d.example')])).toEqual([
        [true, false],
        [false, true],
      ])
    })

    it('is made anew when an entry went, changed, or there are too many for the table', () => {
      for (const change of [
        (kill: Replica['kill']) => kill.delete('0'),
        (kill: Replica['kill']) => kill.set('1', { value: '@b.example', ...created }),
        (kill: Replica['kill']) => kill.set('0', { value: '@z.example', ...created }),
        (kill: Replica['kill']) => {
          for (let i = 0; i < 100; i++) kill.set(`n${i}`, { value: `@n${i}.example`, ...created })
        },
      ]) {
        const { replica, previous } = start()
        change(replica.kill)
        const next = compilePolicy(replica, 2, { previous, changed })
        expect(next.kill.table).not.toBe(previous.kill.table)
        expect(next).toEqual(compilePolicy(replica, 2))
      }
    })
  })

  it('compiles the same from scratch as step by step', () => {
    const replica = exampleReplica({ lists: { kill: ['@a.example'] } })
    const first = compilePolicy(replica, 1)
    replica.kill.set('b', { value: '@b.example', ...created })
    const options: CompileOptions = { previous: first, changed: new Set(['kill']) }
    const { kill, ...rest } = compilePolicy(replica, 2, options)
    expect(compilePolicy(replica, 2)).toMatchObject(rest)
    expect(kill.size).toBe(2)
  })

  it('stops after every thousand rows, and lets others run when told to', async () => {
    const replica = exampleReplica()
    for (let i = 0; i < 10_000; i++) replica.kill.set(`${i}`, { value: `@host${i}.example`, ...created })
    const steps = [...compileSteps(replica, 1)]
    expect(steps.length).toBeGreaterThanOrEqual(10)
    const breathe = vi.fn(() => Promise.resolve())
    const policy = await compileInSlices(compileSteps(replica, 1), breathe)
    expect(breathe).toHaveBeenCalledTimes(steps.length)
    expect(policy.kill.size).toBe(10_000)
  })

  it('names the row that cannot be compiled', () => {
    expect(() => compilePolicy(exampleReplica({ lists: { relay: ['nonsense'] } }), 1)).toThrow('"nonsense"')
  })

  it('keeps the name of a domain before the alias of another, and the first of two accounts', () => {
    const domains = [
      { name: 'a.example', aliases: ['b.example', 'c.example'] },
      { name: 'b.example', aliases: ['c.example'] },
    ]
    const policy = compilePolicy(exampleReplica({ domains }), 1)
    expect(['a', 'b', 'c'].map((name) => policy.directory.domains.get(`${name}.example`)?.name)).toEqual([
      'a.example',
      'b.example',
      'a.example',
    ])
  })
})
