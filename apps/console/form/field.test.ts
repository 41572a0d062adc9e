import { accountInputSchema, domainInputSchema } from '@postern/contract/directory.ts'
import { type SettingGroup, settingGroupNames, settingGroups } from '@postern/contract/settings.ts'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Field, fieldsOf } from './field.ts'
import { check, fromForm, toForm } from './values.ts'

const of = (group: SettingGroup, key: string): Field => {
  const field = fieldsOf(settingGroups[group].schema).find((candidate) => candidate.key === key)
  if (!field) throw new Error(`no field ${key}`)
  return field
}

describe('fieldsOf', () => {
  test.each(settingGroupNames)('%s: every key has a control, a title, a help and a default', (group) => {
    const { schema } = settingGroups[group]
    const fields = fieldsOf(schema)
    expect(fields.map((field) => field.key)).toEqual(Object.keys(schema.shape))
    for (const field of fields) {
      expect(field.title, field.key).toBeTruthy()
      expect(field.help, field.key).toBeTruthy()
      expect(field.initial, field.key).toBeDefined()
    }
  })

  test('reads range, unit, danger and who is exempt', () => {
    expect(of('queue', 'retryTimerMinutes')).toMatchObject({
      kind: 'number',
      min: 1,
      max: 1440,
      unit: 'minutes',
      initial: 30,
    })
    expect(of('general', 'relayMode')).toMatchObject({ kind: 'choice', danger: { values: ['anyone'] } })
    expect(of('security', 'checkHelo')).toMatchObject({ exemptsWhiteListed: true })
  })

  test('knows the shapes', () => {
    expect(of('general', 'gateway').kind).toBe('switched-group')
    expect(of('queue', 'perDomain').kind).toBe('rows')
    expect(of('queue', 'dailyReport').kind).toBe('text')
    expect(of('advanced', 'extraPorts')).toMatchObject({ kind: 'lines', numbers: true })
    expect(of('advanced', 'proxyProtocol')).toMatchObject({ kind: 'lines', numbers: false })
    expect(of('advanced', 'authMechanisms').kind).toBe('choices')
    expect(of('security', 'ratesPerClient').kind).toBe('group')
    const gateway = of('general', 'gateway')
    expect('fields' in gateway && gateway.fields.map((field) => field.kind)).toEqual([
      'text',
      'number',
      'choice',
      'text',
      'secret',
    ])
  })
})

describe('toForm and fromForm', () => {
  test.each(settingGroupNames)('%s: the defaults come back as they went', (group) => {
    const { schema } = settingGroups[group]
    const fields = fieldsOf(schema)
    const settings = schema.parse({}) as Record<string, unknown>
    expect(fromForm(fields, toForm(fields, settings))).toEqual(settings)
  })

  test('what is marked as a secret is masked, whatever its name', () => {
    const secret = z.string().meta({ secret: true })
    const login = z.strictObject({ user: z.string(), pin: secret.optional(), code: z.union([z.literal(''), secret]) })
    const [field] = fieldsOf(z.strictObject({ login: z.union([z.literal('off'), login]).default('off') }))
    expect(field?.kind === 'switched-group' && field.fields.map(({ kind }) => kind)).toEqual([
      'text',
      'secret',
      'secret',
    ])
  })

  test('an empty secret is left out, a typed one is not', () => {
    const { schema } = settingGroups.general
    const fields = fieldsOf(schema)
    const settings = schema.parse({ gateway: { host: 'smart.example', user: 'me' } }) as Record<string, unknown>
    const values = toForm(fields, settings) as { gateway: { on: boolean; value: Record<string, unknown> } }
    expect(fromForm(fields, values)).toEqual(settings)
    values.gateway.value.secret = 'hunter22'
    expect(fromForm(fields, values).gateway).toMatchObject({ secret: 'hunter22' })
  })
})

describe('check', () => {
  const refused = (group: SettingGroup, changed: Record<string, unknown>) => {
    const { schema } = settingGroups[group]
    const fields = fieldsOf(schema)
    return check(schema, fields, { ...toForm(fields, schema.parse({}) as Record<string, unknown>), ...changed })
  }
  test('names the range and the unit', () => {
    const message = 'must be a whole number from 1 to 1,440 minutes'
    expect(refused('queue', { retryTimerMinutes: '0' })).toEqual([{ path: 'retryTimerMinutes', message }])
    expect(refused('queue', { retryTimerMinutes: 'soon' })).toEqual([{ path: 'retryTimerMinutes', message }])
    expect(refused('queue', { retryTimerMinutes: '' })).toEqual([{ path: 'retryTimerMinutes', message }])
  })
  test('compares keys with each other, as the contract does', () => {
    expect(refused('queue', { retryThreads: 30 })[0]).toMatchObject({ path: 'retryThreads' })
  })
  test('names the line of a list and the control inside a group', () => {
    const [line] = refused('advanced', { proxyProtocol: '192.0.2.0/24\n\nnonsense' })
    expect(line?.path).toBe('proxyProtocol')
    expect(line?.message).toMatch(/^line 3, "nonsense"/)
    const fields = fieldsOf(settingGroups.general.schema)
    const gateway = toForm(fields, {}).gateway as { value: object }
    const [inner] = refused('general', { gateway: { on: true, value: { ...gateway.value, host: 'not a host' } } })
    expect(inner?.path).toBe('gateway.value.host')
  })
})

describe('the directory', () => {
  const fields = fieldsOf(domainInputSchema)
  test('a route is one of several objects', () => {
    const route = fields.find(({ key }) => key === 'route')
    expect(route?.kind === 'variants' && route.variants.map(({ type }) => type)).toEqual([
      'maildir',
      'lmtp',
      'smtp',
      'webhook',
      's3',
      'discard',
    ])
  })
  test('goes to the form and back, and errors find their control', () => {
    const domain = {
      name: 'a.example',
      aliases: ['b.example'],
      catchAll: '',
      route: { type: 'lmtp', host: 'h', port: 24 },
      verifyRecipients: 'directory',
    }
    const values = toForm(fields, domain) as { route: { type: string; of: Record<string, { host: string }> } }
    expect(fromForm(fields, values)).toEqual(domain)
    values.route.of.lmtp = { ...values.route.of.lmtp, host: 'no host' }
    expect(check(domainInputSchema, fields, values)[0]?.path).toBe('route.of.lmtp.host')
  })
  test('what is wrong is said in plain words, and what is missing is required', () => {
    const account = fieldsOf(accountInputSchema)
    const blank = toForm(account, { address: 'a@b.example' })
    expect(check(accountInputSchema, account, blank)).toEqual([{ path: 'secret', message: 'is required' }])
    expect(check(accountInputSchema, account, { ...blank, secret: 'short' })[0]?.message).toBe(
      'must be text of 8 to 256 characters',
    )
    for (const schema of [accountInputSchema, domainInputSchema, settingGroups.general.schema]) {
      const all = fieldsOf(schema)
      for (const wrong of ['', 'x'.repeat(2000), 7])
        for (const { message } of check(schema, all, Object.fromEntries(all.map(({ key }) => [key, wrong]))))
          expect(message).not.toMatch(/expected|received|Invalid|Too |undefined/)
    }
  })
})
