import { once } from 'node:events'
import { createServer } from 'node:net'
import { getPriority } from 'node:os'
import { connect as connectTls } from 'node:tls'
import type { Page, RecordedEvent, ServiceView, WriteResult } from '@postern/contract/views.ts'
import { connect, type WireClient } from '@postern/smtp/test/wire-client.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { answers, freePort, until } from '../peers/peer.ts'
import { readMaildir } from '../peers/postfix.ts'
import { type Postern, startPostern } from '../system/postern.ts'

/** Proves [advanced.extraPorts, advanced.drainTimeoutSeconds]. */

/** Start, stop, restart and ports. The workers stay the same processes through all of it. */

let postern: Postern
let pids: Record<'smtp' | 'queue', number[]>
const clients: WireClient[] = []
showLogsOnFailure(() => [postern])
beforeAll(async () => {
  postern = await startPostern()
  await postern.settle()
  await postern.api.post('/v1/domains', { name: 'home.test' })
  const account = { address: 'ann@home.test', secret: 'a password that is long' }
  await postern.settle((await postern.api.post('/v1/accounts', account)).revision)
  pids = { smtp: postern.pids('smtp'), queue: postern.pids('queue') }
})
afterAll(async () => {
  for (const client of clients) client.destroy()
  await postern?.stop()
})

async function greeted(port = postern.smtpPort): Promise<WireClient> {
  const client = await connect({ port })
  clients.push(client)
  await client.hello()
  return client
}

async function service(name: 'smtp' | 'queue'): Promise<ServiceView> {
  return postern.api.get<ServiceView>(`/v1/services/${name}`)
}

/** Requests the action and waits until the service has done it. */
async function act(name: 'smtp' | 'queue', action: 'start' | 'stop' | 'restart', observed: string): Promise<void> {
  const { revision } = await postern.api.post<WriteResult>(`/v1/services/${name}/${action}`)
  await postern.settle(revision)
  await until(`${name} is ${observed}`, async () => (await service(name)).observed === observed)
  expect(postern.pids(name)).toEqual(pids[name])
}

async function set(group: string, values: object): Promise<void> {
  await postern.settle((await postern.api.patch(`/v1/settings/${group}`, values)).revision)
}

const inbox = () => readMaildir(`${postern.dataDirectory}/mail/home.test/ann`)
const mail = (subject: string) => ({ from: 'x@far.test', to: 'ann@home.test', content: `Subject: ${subject}\r\n` })

it('the Queue Manager has a lower priority than the receiver, so that no client waits for deliveries', () => {
  const [smtp = 0, queue = 0] = [...pids.smtp, ...pids.queue].map(getPriority)
  expect(queue).toBe(Math.min(smtp + 5, 19))
})

describe('the SMTP service', () => {
  it('stops: ports close, idle sessions get 421 4.3.2, a transaction finishes, the queue continues; and starts again', async () => {
    const idle = await greeted()
    const busy = await greeted()
    await busy.say('MAIL FROM:<x@far.test>').expect(250)
    await busy.say('RCPT TO:<ann@home.test>').expect(250)
    await busy.say('DATA').expect(354)
    busy.write('Subject: in progress\r\n\r\n')
    const { revision } = await postern.api.post('/v1/services/smtp/stop')
    await idle.expect(421, '4.3.2')
    expect(await idle.closed()).toBe('closed')
    expect(await answers(postern.host, postern.smtpPort)).toBe(false)
    expect(await answers(postern.host, postern.submissionPort)).toBe(false)
    await until('it says it is stopping', async () => (await service('smtp')).observed === 'stopping')
    await busy.write('finished\r\n.\r\n').expect(250, '2.0.0')
    await busy.expect(421, '4.3.2')
    expect(await busy.closed()).toBe('closed')
    await postern.settle(revision)
    await until('it is stopped', async () => (await service('smtp')).observed === 'stopped')
    // The last session counts until its socket has closed, which is reported with the next heartbeat.
    await until('no session is left', async () => (await service('smtp')).workers[0]?.sessions === 0)
    expect((await service('smtp')).desired).toBe('stopped')
    await until('the queue has delivered it', async () => (await inbox()).some((text) => text.includes('in progress')))
    // It follows the settings while stopped.
    await set('general', { hostname: 'stopped.example.test' })
    await act('smtp', 'start', 'running')
    const client = await connect({ port: postern.smtpPort })
    clients.push(client)
    expect((await client.expect(220)).raw).toContain('stopped.example.test')
    expect(postern.pids('smtp')).toEqual(pids.smtp)
  })

  it('a transaction that does not finish is ended after drainTimeoutSeconds', async () => {
    await set('advanced', { drainTimeoutSeconds: 1 })
    const busy = await greeted()
    await busy.say('MAIL FROM:<x@far.test>').expect(250)
    await postern.api.post('/v1/services/smtp/stop')
    const start = performance.now()
    await busy.expect(421, '4.3.2')
    expect(performance.now() - start).toBeLessThan(20_000)
    expect(await busy.closed()).toBe('closed')
    await until('it is stopped', async () => (await service('smtp')).observed === 'stopped')
    await act('smtp', 'start', 'running')
    await set('advanced', { drainTimeoutSeconds: 30 })
  })

  it('a restart refuses no connection attempt and drops no session', async () => {
    const open = await greeted()
    let running = true
    const seen = { served: 0, refused: [] as string[] }
    const hammer = async (from: string) => {
      while (running) {
        try {
          const client = await connect({ port: postern.smtpPort, from })
          await client.expect(220)
          await client.say('QUIT').expect(221)
          client.destroy()
          seen.served++
        } catch (error) {
          seen.refused.push(String(error).slice(0, 300))
        }
      }
    }
    const hammers = ['127.0.0.31', '127.0.0.32', '127.0.0.33', '127.0.0.34'].map(hammer)
    for (let i = 0; i < 4; i++) {
      const { generation } = await service('smtp')
      await act('smtp', 'restart', 'running')
      await until('the restart is carried out', async () => (await service('smtp')).generation > generation)
      const { served } = seen
      await until('25 sessions more were served', () => seen.served >= served + 25)
    }
    running = false
    await Promise.all(hammers)
    expect(seen.refused).toEqual([])
    await open.mail(mail('across restarts'))
    expect(postern.pids('smtp')).toEqual(pids.smtp)
  })
})

describe('the Queue Manager', () => {
  it('when stopped, mail is accepted and waits; when started, it is delivered; and it can be restarted', async () => {
    await act('queue', 'stop', 'stopped')
    const before = (await inbox()).length
    const client = await greeted()
    for (let i = 0; i < 5; i++) await client.mail(mail(`waits ${i}`))
    await until('the books say that five wait', async () => (await postern.books()).total.queued === 5)
    expect(await inbox()).toHaveLength(before)
    const startedAt = Date.now()
    await act('queue', 'start', 'running')
    await until('all are delivered', async () => (await inbox()).length === before + 5)
    // None while it was stopped: the last five deliveries were made after the start.
    await postern.quiet()
    const { items } = await postern.api.get<Page<RecordedEvent>>('/v1/events', { type: 'delivery.delivered', limit: 5 })
    for (const { at } of items) expect(Date.parse(at)).toBeGreaterThanOrEqual(startedAt)
    expect(items).toHaveLength(5)
    await act('queue', 'restart', 'running')
    await client.mail(mail('after the restart'))
    await until('it is delivered', async () => (await inbox()).length === before + 6)
  })

  it('several services at once', async () => {
    const actions = { services: ['smtp', 'queue'] }
    await postern.settle((await postern.api.post('/v1/services/actions', { action: 'stop', ...actions })).revision)
    for (const name of ['smtp', 'queue'] as const)
      await until(`${name} is stopped`, async () => (await service(name)).observed === 'stopped')
    expect(await answers(postern.host, postern.smtpPort)).toBe(false)
    await postern.settle((await postern.api.post('/v1/services/actions', { action: 'start', ...actions })).revision)
    for (const name of ['smtp', 'queue'] as const)
      await until(`${name} is running`, async () => (await service(name)).observed === 'running')
    await (await greeted()).mail(mail('both again'))
  })
})

describe('ports', () => {
  it('extraPorts open and close at run time; a session on one continues', async () => {
    const [one, two] = [await freePort(), await freePort()]
    await set('advanced', { extraPorts: [one, two] })
    const first = await greeted(one)
    await greeted(two)
    await set('advanced', { extraPorts: [two] })
    await until('the port is closed', async () => !(await answers(postern.host, one)))
    expect(await answers(postern.host, two)).toBe(true)
    await first.mail(mail('by a port that is gone'))
    await set('advanced', { extraPorts: [] })
    await until('the port is closed', async () => !(await answers(postern.host, two)))
  })

  it('a port in use: the service is degraded and says which, other ports work, and it recovers by itself when the port is free', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, postern.host, resolve))
    const { port } = taken.address() as { port: number }
    await set('advanced', { extraPorts: [port] })
    await until('it is degraded', async () => (await service('smtp')).observed === 'degraded')
    const { workers } = await service('smtp')
    expect(workers[0]?.detail).toContain(String(port))
    expect(workers[0]?.detail).toMatch(/in use|EADDRINUSE/)
    await (await greeted()).mail(mail('while degraded'))
    await new Promise((resolve) => taken.close(resolve))
    await until('the port is taken', async () => (await service('smtp')).observed === 'running')
    await greeted(port)
    const { items } = await postern.api.get<{ items: object[] }>('/v1/events', { type: 'listener.failed' })
    expect(items).toHaveLength(1)
    await set('advanced', { extraPorts: [] })
    expect((await service('smtp')).workers[0]?.detail).toBeUndefined()
  })

  it('a port that the environment fixes is shown as fixed', async () => {
    const { fixed } = await postern.api.get<{ fixed: Record<string, string> }>('/v1/settings')
    expect(fixed['advanced.port']).toBe(`POSTERN_SMTP_PORT=${postern.smtpPort}`)
  })
})

it('nothing was lost', async () => {
  expect((await postern.quiet()).total.balance).toBe(0)
})

describe('ports from the settings', () => {
  let free: Postern
  showLogsOnFailure(() => [free])
  afterAll(() => free?.stop())

  // [advanced.port, advanced.submissionPort]
  it('the SMTP port changes: the new one listens, the old one closes; if the new one is in use, the old one stays open', async () => {
    const [first, second] = [await freePort('127.0.0.5'), await freePort('127.0.0.5')]
    const submission = await freePort('127.0.0.5')
    const env = { POSTERN_SMTP_PORT: '', POSTERN_SUBMISSION_PORT: '', POSTERN_SMTPS_PORT: '' }
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.5', resolve))
    const { port: used } = taken.address() as { port: number }
    free = await startPostern({ host: '127.0.0.5', env })
    await free.settle()
    const patch = async (values: object) =>
      free.settle((await free.api.patch('/v1/settings/advanced', values)).revision)
    const worker = async () => (await free.api.get<ServiceView>('/v1/services/smtp')).workers[0]
    await patch({ port: first, submissionPort: submission })
    const held = await connect({ host: '127.0.0.5', port: first })
    await held.hello()
    await patch({ port: second })
    await until('the new port answers', () => answers('127.0.0.5', second))
    await until('the old one is closed', async () => !(await answers('127.0.0.5', first)))
    await held.say('NOOP').expect(250)

    await patch({ port: used })
    await until('it is degraded', async () => (await worker())?.observed === 'degraded')
    expect((await worker())?.detail).toContain(String(used))
    expect(await answers('127.0.0.5', second)).toBe(true)
    const failed = () => free.api.get<{ items: { port: number }[] }>('/v1/events', { type: 'listener.failed' })
    await until('the event is stored', async () => (await failed()).items.length > 0)
    expect((await failed()).items[0]).toMatchObject({ port: used })
    await patch({ port: first })
    await until('it runs', async () => (await worker())?.observed === 'running')
    expect(await answers('127.0.0.5', first)).toBe(true)
    await held.say('NOOP').expect(250)
    held.destroy()
    await new Promise((resolve) => taken.close(resolve))
  })

  // [tls.implicitTls, tls.implicitTlsPort]
  it('the implicit TLS port opens, moves and closes', async () => {
    const source = { type: 'self-signed', names: ['mx.home.test'], days: 30 }
    await free.settle((await free.api.post('/v1/certificates', { name: 'own', source })).revision)
    const patch = async (values: object) => free.settle((await free.api.patch('/v1/settings/tls', values)).revision)
    const [first, second] = [await freePort('127.0.0.5'), await freePort('127.0.0.5')]
    await patch({ implicitTls: true, implicitTlsPort: first })
    expect(await bannerOverTls('127.0.0.5', first)).toMatch(/^220 /)
    await patch({ implicitTlsPort: second })
    expect(await bannerOverTls('127.0.0.5', second)).toMatch(/^220 /)
    await until('the old one is closed', async () => !(await answers('127.0.0.5', first)))
    await patch({ implicitTls: false })
    await until('it is closed', async () => !(await answers('127.0.0.5', second)))
  })
})

async function bannerOverTls(host: string, port: number): Promise<string> {
  const socket = connectTls({ host, port, rejectUnauthorized: false })
  try {
    const [first] = (await once(socket, 'data')) as [Buffer]
    return first.toString('latin1')
  } finally {
    socket.destroy()
  }
}
