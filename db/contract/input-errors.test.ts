import { describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { accountInputSchema, domainInputSchema } from './directory.ts'
import { documentSchema } from './document.ts'
import { parseInput } from './input-errors.ts'
import { listInputSchemas } from './lists.ts'
import { settingGroups } from './settings.ts'

function issues(schema: z.ZodType, input: unknown) {
  const result = parseInput(schema, input)
  return 'issues' in result ? result.issues.map(({ path, message }) => `${path} | ${message}`) : []
}

describe('what is wrong with bad input', () => {
  it('digs out the branch that was meant', () => {
    const general = settingGroups.general.schema
    expect(issues(general, { gateway: { host: 'mx', port: 70_000 } })).toEqual([
      'gateway.port | gateway.port is 70000 but must be a whole number from 1 to 65535',
    ])
    expect(issues(general, { gateway: { port: 25 } })).toEqual([
      'gateway.host | gateway.host is required; it must be text',
    ])
    expect(issues(general, { gateway: { host: 'mx', password: 'x' } })).toEqual([
      'gateway.password | "password" is not a key of gateway; known keys: host, port, tls, user, secret',
    ])
    expect(issues(general, { gateway: 'on' })).toEqual([
      'gateway | gateway is "on" but must be "off", or an object {host, port, tls, user, secret}',
    ])
  })

  it('lists the routes there are', () => {
    expect(issues(domainInputSchema, { name: 'example.org', route: { type: 'pigeon' } })).toEqual([
      'route.type | route.type is "pigeon" but must be one of "maildir", "lmtp", "smtp", "webhook", "s3", "discard"',
    ])
    expect(issues(domainInputSchema, { name: 'example.org', route: { type: 'smtp', host: 'mx', port: 0 } })).toEqual([
      'route.port | route.port is 0 but must be a whole number from 1 to 65535',
    ])
  })

  it('never shows a secret, nor what lies inside an object', () => {
    const secret = 'hush-hush-hush'
    const texts = [
      ...issues(settingGroups.general.schema, { gateway: { host: 'mx', secret: secret.repeat(100) } }),
      ...issues(settingGroups.general.schema, { gateway: { host: 'mx', secret: [secret] } }),
      ...issues(settingGroups.general.schema, { relayMode: { secret } }),
      ...issues(settingGroups.advanced.schema, { deliveryApplication: { url: 'http://x', secret: 'hush' } }),
      ...issues(domainInputSchema, {
        name: 'example.org',
        route: { type: 'webhook', url: 'http://x', secret: 'hush' },
      }),
      ...issues(accountInputSchema, { address: 'jane@example.org', secret: 'hush' }),
    ]
    expect(texts).toHaveLength(6)
    for (const text of texts) expect(text).not.toContain('hush')
  })

  it('shortens what is long, and keeps the list of issues short', () => {
    const [text] = issues(settingGroups.general.schema, { relayMode: 'x'.repeat(100_000) })
    expect(text?.length).toBeLessThan(250)
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`key${i}`, i]))
    expect(issues(settingGroups.general.schema, many).length).toBe(100)
  })

  it('finds its way in documents and lists', () => {
    expect(
      issues(documentSchema, { postern: 1, lists: { kill: [{ value: '@ok.example' }, { value: 'nonsense' }] } }),
    ).toEqual([
      'lists.kill.1.value | lists.kill.1.value: "nonsense" is not a Kill File entry; allowed: user@host, @host, @*suffix',
    ])
    expect(issues(documentSchema, { postern: 2 })[0]).toContain("the document's version must be 1")
    expect(issues(listInputSchemas.relay, { value: '192.0.2.1', expiresAt: 'tomorrow' })[0]).toContain(
      'an RFC 3339 time',
    )
  })

  it('is not led astray by names of the language', () => {
    const input = JSON.parse('{"name":"example.org","constructor":1,"__proto__":{"x":1},"toString":2}')
    expect(issues(domainInputSchema, input).map((text) => text.split(' ')[0])).toEqual([
      'constructor',
      '__proto__',
      'toString',
    ])
  })
})
