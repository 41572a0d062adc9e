import { connect as connectTcp, createServer, type Server } from 'node:net'
import type { Row } from '@postern/contract/rows.ts'
import { describe, expect, it } from 'vitest'
import { startTestReceiver } from '../test/receiver-harness.ts'
import { connect, pastBanner } from '../test/wire-client.ts'

const serviceRow = (desired: 'running' | 'stopped', generation: number): Row => ({
  kind: 'service',
  id: 'smtp',
  value: { desired, generation },
})

async function freePort(): Promise<number> {
  const server = await occupy(0)
  const { port } = server.address() as { port: number }
  await new Promise((done) => server.close(done))
  return port
}

function occupy(port: number): Promise<Server> {
  const server = createServer()
  return new Promise((done, fail) => server.once('error', fail).listen(port, '127.0.0.1', () => done(server)))
}

/** Connects again and again and says what did not get a banner. */
function hammer(port: number) {
  const failed: string[] = []
  let greeted = 0
  let going = true
  const once = () =>
    new Promise<void>((done) => {
      const socket = connectTcp(port, '127.0.0.1')
      socket.once('data', (data) => {
        if (data.toString().startsWith('220')) greeted++
        else failed.push(data.toString())
        socket.end('QUIT\r\n')
      })
      socket.once('error', (error) => failed.push(error.message))
      socket.once('close', () => done())
    })
  const loops = Array.from({ length: 8 }, async () => {
    while (going) await once()
  })
  return {
    failed,
    greeted: () => greeted,
    end: async () => {
      going = false
      await Promise.all(loops)
    },
  }
}

describe('stop', () => {
  it('idle sessions get 421, a transaction finishes, the port is closed, the state is told', async () => {
    const receiver = await startTestReceiver()
    const port = receiver.port()
    const idle = await pastBanner({ port })
    await idle.answer('EHLO c.test')
    const busy = await pastBanner({ port })
    await busy.upToData()
    await receiver.apply({ rows: [serviceRow('stopped', 1)] })
    expect(receiver.service.status().observed).toBe('stopping')
    expect(await idle.untilClosed()).toBe('421 4.3.2 mx.test is shutting down, try again later\r\n')
    await expect(connect({ port })).rejects.toThrow('ECONNREFUSED')
    busy.write('last words\r\n.\r\n')
    expect(await busy.untilClosed()).toMatch(/^250 2\.0\.0 Accepted as [0-9a-f-]+\r\n421 4\.3\.2 [^\r\n]*\r\n$/)
    await expect.poll(() => receiver.service.status().observed).toBe('stopped')
    // A session counts until its client has closed as well.
    await expect.poll(() => receiver.service.status().sessions).toBe(0)
    expect(receiver.service.status()).toMatchObject({ generation: 1, listeners: [] })
    expect(receiver.of('service.state').map(({ observed }) => observed)).toEqual(['running', 'stopping', 'stopped'])
    await receiver.apply({ rows: [serviceRow('running', 2)] })
    expect(receiver.service.status()).toMatchObject({ observed: 'running', generation: 2 })
    const again = await pastBanner({ port: receiver.port() })
    expect(await again.send('x\r\n')).toMatch(/^250/)
    again.destroy()
    await receiver.close()
  })

  it('does not wait for a reply that is late by dictionary.softErrorDelaySeconds', async () => {
    const receiver = await startTestReceiver({
      settings: { dictionary: { softErrorLimit: 1, softErrorDelaySeconds: 60 } },
    })
    const slow = await pastBanner({ port: receiver.port() })
    expect(await slow.answer('WRONG')).toMatch(/^500 /)
    slow.write('WRONG\r\n')
    expect(await slow.rest(300)).toBe('')
    await receiver.apply({ rows: [serviceRow('stopped', 1)] })
    expect(await slow.untilClosed()).toMatch(/^500 [^\r\n]*\r\n421 4\.3\.2 /)
    await expect.poll(() => receiver.service.status().observed).toBe('stopped')
    await receiver.close()
  })

  it('waits no longer than drainTimeoutSeconds', async () => {
    const receiver = await startTestReceiver({ settings: { advanced: { drainTimeoutSeconds: 1 } } })
    const busy = await pastBanner({ port: receiver.port() })
    await busy.upToData()
    await receiver.apply({ rows: [serviceRow('stopped', 1)] })
    expect(await busy.untilClosed()).toMatch(/^421 4\.3\.2 /)
    await expect.poll(() => receiver.service.status().observed).toBe('stopped')
    await receiver.close()
  })

  it('is taken back by a start that comes while it drains', async () => {
    const receiver = await startTestReceiver()
    const busy = await pastBanner({ port: receiver.port() })
    await busy.upToData()
    await receiver.apply({ rows: [serviceRow('stopped', 1)] })
    await receiver.apply({ rows: [serviceRow('running', 2)] })
    busy.write('x\r\n.\r\n')
    expect(await busy.text()).toMatch(/^250/)
    expect(await busy.answer('NOOP')).toBe('250 2.0.0 OK')
    busy.destroy()
    await expect.poll(() => receiver.service.status().sessions).toBe(0)
    // Who connects now is served, so nothing is left of the stop.
    const next = await pastBanner({ port: receiver.port() })
    expect(receiver.service.status().observed).toBe('running')
    next.destroy()
    await receiver.close()
  })

  it('stop, start and stop again at once end in stopped', async () => {
    const receiver = await startTestReceiver()
    const busy = await pastBanner({ port: receiver.port() })
    await busy.upToData()
    for (const [i, desired] of (['stopped', 'running', 'stopped'] as const).entries())
      await receiver.apply({ rows: [serviceRow(desired, i + 1)] })
    expect(receiver.service.status()).toMatchObject({ observed: 'stopping', listeners: [] })
    busy.write('x\r\n.\r\n')
    expect(await busy.untilClosed()).toMatch(/^250 [^\r\n]*\r\n421 4\.3\.2 /)
    await expect.poll(() => receiver.service.status()).toMatchObject({ observed: 'stopped', generation: 3 })
    await receiver.close()
  })

  it('of the worker finishes what is in progress and gives the spool back', async () => {
    const receiver = await startTestReceiver()
    const busy = await pastBanner({ port: receiver.port() })
    await busy.upToData()
    const stopping = receiver.service.stop()
    busy.write('x\r\n.\r\n')
    expect(await busy.text()).toMatch(/^250/)
    await stopping
    expect(await receiver.stored()).toHaveLength(1)
    await receiver.close()
  })
})

describe('restart', () => {
  it('refuses no connection attempt, and open sessions live on', async () => {
    const receiver = await startTestReceiver({ settings: { advanced: { maxConnectionsPerAddress: 0 } } })
    const before = await pastBanner({ port: receiver.port() })
    const hammered = hammer(receiver.port())
    for (let generation = 1; generation <= 20; generation++) {
      const greeted = hammered.greeted()
      await receiver.apply({ rows: [serviceRow('running', generation)] })
      await expect.poll(hammered.greeted).toBeGreaterThan(greeted + 2)
    }
    await hammered.end()
    expect(hammered.failed).toEqual([])
    expect(receiver.service.status().generation).toBe(20)
    expect(await before.answer('NOOP')).toMatch(/^250/)
    before.destroy()
    await receiver.close()
  })
})

describe('ports', () => {
  it('a new port listens before the old one closes; sessions live on', async () => {
    const [first, second] = [await freePort(), await freePort()]
    const receiver = await startTestReceiver(
      { settings: { advanced: { port: first } } },
      { environment: { smtpPort: undefined } },
    )
    const open = await pastBanner({ port: first })
    await receiver.apply({ settings: { advanced: { port: second, extraPorts: [await freePort()] } } })
    const moved = await pastBanner({ port: second })
    await expect(connect({ port: first })).rejects.toThrow('ECONNREFUSED')
    expect(await open.send('x\r\n')).toMatch(/^250/)
    const extra = receiver.service.status().listeners.find(({ name }) => name.startsWith('extra'))
    const third = await connect({ port: extra?.port as number })
    expect(await third.text()).toMatch(/^220/)
    for (const client of [open, moved, third]) client.destroy()
    await receiver.close()
  })

  it('one in use leaves the old one in force, and says so', async () => {
    const first = await freePort()
    const taken = await occupy(0)
    const { port } = taken.address() as { port: number }
    const receiver = await startTestReceiver(
      { settings: { advanced: { port: first } } },
      { environment: { smtpPort: undefined } },
    )
    await receiver.apply({ settings: { advanced: { port } } })
    expect(receiver.service.status()).toMatchObject({ observed: 'degraded' })
    expect(receiver.service.status().detail).toContain(`smtp on port ${port}`)
    expect(receiver.of('listener.failed')).toMatchObject([{ listener: 'smtp', port }])
    const client = await pastBanner({ port: first })
    expect(await client.answer('NOOP')).toMatch(/^250/)
    client.destroy()
    await new Promise((done) => taken.close(done))
    await receiver.apply({ rows: [serviceRow('running', 1)] })
    expect(receiver.service.status()).toMatchObject({ observed: 'running' })
    expect(receiver.port()).toBe(port)
    await receiver.close()
  })

  it('the environment wins over the setting', async () => {
    const port = await freePort()
    const receiver = await startTestReceiver(
      { settings: { advanced: { port: 26 } } },
      { environment: { smtpPort: port } },
    )
    expect(receiver.port()).toBe(port)
    await receiver.close()
  })
})
