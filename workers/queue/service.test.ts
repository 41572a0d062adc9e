import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Replica } from '@postern/contract/rows.ts'
import { openLocalWriter } from '@postern/spool/local/writer.ts'
import { expect, test } from 'vitest'
import { queueService } from './service.ts'
import { TestServer } from './test/server.ts'
import { envelopeFor, replicaFrom, until } from './test/testbed.ts'

test('start, stop, restart by generation, settings that are refused, orders met again', async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'postern-service-'))
  const remote = await TestServer.start()
  const events: { type: string; [field: string]: unknown }[] = []
  const worker = {
    id: 'queue-1',
    record: (type: string, fields: object) => void events.push({ type, ...fields }),
    wants: () => false,
    flushEvents: async () => {},
    syncEvents: async () => {},
    wasAccepted: () => false,
    reportSoon: () => {},
    reportOffences: async () => ({ revision: 0, blocked: [] }),
    tellQueue: async () => 'stored',
    stop: async () => {},
    dataDirectory,
    log: { error: () => {}, warn: () => {} },
  }
  const service = await queueService(worker as never, {})
  // A second Queue Manager, whatever its name, would deliver everything once more.
  await expect(queueService({ ...worker, id: 'queue-2' } as never, {})).rejects.toThrow(
    `${join(dataDirectory, 'queue')} is in use by process ${process.pid}`,
  )
  let revision = 0
  const apply = (
    desired: { desired: 'running' | 'stopped'; generation: number },
    change: (replica: Replica) => void = () => {},
  ) => {
    const replica = replicaFrom({ domains: [{ name: 'a.test', route: remote.route }] })
    replica.service.set('queue', desired)
    change(replica)
    return service.apply({ replica, revision: ++revision, changed: new Set(['settings', 'service', 'order']) })
  }
  const writer = await openLocalWriter({ directory: join(dataDirectory, 'spool'), name: 'smtp-1' })
  const send = (to: string) => writer.write({ envelope: envelopeFor([to]), body: Buffer.from('Subject: x\r\n\r\n') })
  const observed = () => service.status().observed
  try {
    expect(observed()).toBe('starting')
    await apply({ desired: 'running', generation: 1 })
    await until('running', () => observed() === 'running')
    await send('one@a.test')
    await until('delivered', () => remote.received.length === 1)
    await apply({ desired: 'stopped', generation: 1 })
    await until('stopped', () => observed() === 'stopped')
    const { id } = await send('two@a.test')
    await until('it waits, and is counted', () => service.status().waiting?.recipients === 1)
    expect(remote.received).toHaveLength(1)
    const order = { action: 'hold' as const, messageIds: [id], orderedBy: 'ops', orderedAt: new Date().toISOString() }
    await apply({ desired: 'stopped', generation: 1 }, (replica) => void replica.order.set('o1', order))
    await until('held', () => service.status().waiting?.byState.held === 1)
    await apply({ desired: 'running', generation: 2 })
    await until('running again', () => observed() === 'running' && service.status().generation === 2)
    const sessions = remote.sessions.length
    await apply({ desired: 'running', generation: 3 })
    await until('restarted', () => service.status().generation === 3 && observed() === 'running')
    await send('three@a.test')
    await until('delivered', () => remote.received.length === 2)
    expect(remote.sessions.length).toBeGreaterThan(sessions - 1)
    const bad = () =>
      apply(
        { desired: 'running', generation: 3 },
        (replica) => void replica.settings.set('queue', { retryTimerMinutes: 0 } as never),
      )
    await expect(async () => bad()).rejects.toThrow(/retryTimerMinutes/)
    await send('four@a.test')
    await until('the settings before are in force', () => remote.received.length === 3)
    expect(events.filter(({ type }) => type === 'service.state').map((event) => event.observed)).toEqual([
      'running',
      'stopping',
      'stopped',
      'running',
      'stopping',
      'running',
    ])
  } finally {
    await service.stop()
    await writer.close()
    await remote.close()
    await rm(dataDirectory, { recursive: true, force: true })
  }
})
