import { defaultSettings } from '@postern/contract/settings.ts'
import { describe, expect, it } from 'vitest'
import { listenAddresses, readEnvironment } from './listen-addresses.ts'

const ports = (doors: { name: string; port: number }[]) =>
  Object.fromEntries(doors.map(({ name, port }) => [name, port]))

describe('the doors', () => {
  it('are those of the settings', () => {
    expect(ports(listenAddresses(defaultSettings(), { unprivileged: false }, false))).toEqual({
      smtp: 25,
      submission: 587,
    })
  })
  it('an unprivileged process takes others instead of the defaults', () => {
    const settings = defaultSettings()
    settings.tls.implicitTls = true
    expect(ports(listenAddresses(settings, { unprivileged: true }, true))).toEqual({
      smtp: 2525,
      submission: 2587,
      smtps: 2465,
    })
    settings.advanced.port = 2626
    expect(ports(listenAddresses(settings, { unprivileged: true }, false))).toEqual({ smtp: 2626, submission: 2587 })
  })
  it('the environment wins', () => {
    const env = readEnvironment({ POSTERN_SMTP_PORT: '1', POSTERN_SUBMISSION_PORT: '0', POSTERN_BIND: '::1' }, true)
    expect(listenAddresses(defaultSettings(), env, false)).toMatchObject([
      { port: 1, address: '::1' },
      { port: 0, address: '::1' },
    ])
  })
  it.each(['x', '-1', '65536', '25 '])('POSTERN_SMTP_PORT=%j is refused by name', (text) => {
    expect(() => readEnvironment({ POSTERN_SMTP_PORT: text }, true)).toThrow('POSTERN_SMTP_PORT')
  })
})
