import { hostname } from 'node:os'
import { connect } from '@postern/smtp/test/wire-client.ts'
import { afterEach, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { answers, freePort, until } from '../peers/peer.ts'
import { Api } from './api.ts'
import { type Postern, startPostern } from './postern.ts'

let postern: Postern | undefined
afterEach(async () => {
  await postern?.stop()
  postern = undefined
})
showLogsOnFailure(() => [postern])

type Group = {
  settings: Record<string, unknown>
  fixed: Record<string, string>
}

it('ports and balancers in the environment override the settings, and the API shows them as fixed', async () => {
  postern = await startPostern({ env: { POSTERN_PROXY_PROTOCOL: '127.0.0.9/32, 127.0.1.0/24' } })
  await postern.settle()
  const { smtpPort, submissionPort, smtpsPort, api } = postern
  const fixed = {
    'advanced.port': `POSTERN_SMTP_PORT=${smtpPort}`,
    'advanced.submissionPort': `POSTERN_SUBMISSION_PORT=${submissionPort}`,
    'advanced.proxyProtocol': 'POSTERN_PROXY_PROTOCOL=127.0.0.9/32, 127.0.1.0/24',
  }
  expect((await api.get<Group>('/v1/settings')).fixed).toEqual({
    ...fixed,
    'tls.implicitTlsPort': `POSTERN_SMTPS_PORT=${smtpsPort}`,
  })
  expect((await api.get<Group>('/v1/settings/advanced')).fixed).toEqual(fixed)

  const other = await freePort()
  const change = { port: other, proxyProtocol: ['127.0.0.7'] }
  const { revision, warnings } = await api.patch('/v1/settings/advanced', change)
  expect(warnings.join()).toMatch(/advanced\.port is set by the environment/)
  expect(warnings.join()).toMatch(/advanced\.proxyProtocol is set by the environment/)
  await postern.settle(revision)
  expect(await answers(postern.host, other)).toBe(false)

  // Refused by address, so the reply shows which address the server trusts.
  const entry = await api.post('/v1/lists/control-access', { value: '192.0.2.55', action: 'deny' })
  await postern.settle(entry.revision)
  const said = async (from: string, first: string) => {
    const client = await connect({ port: smtpPort, from, first, withinMs: 30_000 })
    const { code } = await client.reply()
    client.destroy()
    return code
  }
  const denied = `PROXY TCP4 192.0.2.55 ${postern.host} 1234 ${smtpPort}\r\n`
  const granted = `PROXY TCP4 192.0.2.56 ${postern.host} 1234 ${smtpPort}\r\n`
  for (const balancer of ['127.0.0.9', '127.0.1.200']) {
    expect(await said(balancer, denied)).toBe(554)
    expect(await said(balancer, granted)).toBe(220)
  }
  // The balancer in the setting does not count here: it is greeted as a client, and its header is a protocol error.
  const stranger = await connect({ port: smtpPort, from: '127.0.0.7', first: denied })
  await stranger.expect(220)
  expect((await stranger.reply()).code).toBeGreaterThanOrEqual(400)
  stranger.destroy()
})

it('binds to the address in the environment, and without a port there uses the setting', async () => {
  const bind = '127.0.0.3'
  const smtp = await freePort(bind)
  postern = await startPostern({
    env: { POSTERN_BIND: bind, POSTERN_SMTP_PORT: String(smtp), POSTERN_SUBMISSION_PORT: '' },
  })
  const submission = await freePort(bind)
  const api = new Api(postern.url.replace(postern.host, bind), postern.credentials)
  await api.patch('/v1/settings/advanced', { submissionPort: submission })
  await until('the submission port is open', () => answers(bind, submission))
  expect(await answers('127.0.0.1', smtp)).toBe(false)
  expect(await answers('127.0.0.1', Number(new URL(postern.url).port))).toBe(false)
  const client = await connect({ host: bind, port: smtp })
  const banner = (await client.expect(220)).lines[0] ?? ''
  expect(banner).toContain(hostname())
  // RFC 5321 §2.3.5: fully qualified, whatever the machine is called.
  expect(banner.split(' ')[0] ?? banner).toMatch(/^[^.]+\..*[^.]$/)
  await client.quit()
})
