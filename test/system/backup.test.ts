import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { connect } from '@postern/smtp/test/wire-client.ts'
import { afterAll, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { temporaryDirectory, until } from '../peers/peer.ts'
import { startWireSink } from '../wire/sink.ts'
import { type Postern, type PosternProcess, startPostern } from './postern.ts'

/** README, "Back up": a snapshot of the whole data directory is a backup, even of a running system. */

const run = promisify(execFile)
const started: Postern[] = []
showLogsOnFailure(() => started)
afterAll(async () => {
  // The first one was killed like a lost machine, so it does not exit cleanly.
  await started[0]?.stop().catch(() => {})
  await started[1]?.stop()
})

async function start(dataDirectory: string): Promise<Postern> {
  const postern = await startPostern({ dataDirectory })
  started.push(postern)
  await postern.settle()
  return postern
}

async function send({ smtpPort }: Postern, recipient: string, subject: string): Promise<void> {
  const client = await connect({ port: smtpPort })
  await client.expect(220)
  await client.say('EHLO client.test').expect(250)
  await client.say('MAIL FROM:<bob@elsewhere.test>').expect(250)
  await client.say(`RCPT TO:<${recipient}>`).expect(250)
  await client.say('DATA').expect(354)
  await client.say(`Subject: ${subject}\r\n\r\nbody of ${subject}\r\n.`).expect(250)
  await client.say('QUIT').expect(221)
}

/** Copies like a snapshot of the file system: nothing is written meanwhile. */
async function snapshot(postern: Postern, to: string): Promise<void> {
  const pids = (['api', 'smtp', 'queue'] as PosternProcess[]).flatMap((part) => postern.pids(part))
  for (const pid of pids) process.kill(pid, 'SIGSTOP')
  try {
    await run('cp', ['-a', `${postern.dataDirectory}/.`, to])
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT')
  }
}

type Queue = {
  items: { id: string; state: string; subject?: string }[]
}

it('a snapshot has the settings, the mailboxes and the waiting mail, and continues from there', async () => {
  const first = await start(await temporaryDirectory('backup-first'))
  await first.api.post('/v1/domains', { name: 'home.test', route: { type: 'maildir' } })
  const route = { type: 'smtp', host: '127.0.0.1', port: 1 }
  const far = await first.api.post<{ id: string }>('/v1/domains', { name: 'far.test', route })
  for (const address of ['ann@home.test', 'eve@far.test'])
    await first.api.post('/v1/accounts', { address, login: address, secret: 'a long enough secret' })
  const { revision } = await first.api.patch('/v1/settings/general', { maxMessageBytes: 7_654_321 })
  await first.settle(revision)
  for (const n of [1, 2, 3]) await send(first, 'ann@home.test', `kept-${n}`)
  for (const n of [1, 2, 3]) await send(first, 'eve@far.test', `waiting-${n}`)
  await expect.poll(async () => (await first.mail('ann@home.test')).length).toBe(3)
  const waiting = async (of: Postern) => (await of.api.get<Queue>('/v1/queue')).items
  await expect.poll(async () => (await waiting(first)).filter(({ state }) => state === 'deferred').length).toBe(3)
  const held = (await waiting(first)).find(({ state }) => state === 'deferred')
  await first.api.post(`/v1/messages/${held?.id}/hold`)
  await expect.poll(async () => (await waiting(first)).filter(({ state }) => state === 'held').length).toBe(1)

  const copy = await temporaryDirectory('backup-copy')
  await snapshot(first, copy)
  // Changes after the backup are not in it.
  await first.api.patch('/v1/settings/general', { maxMessageBytes: 1_000_000 })
  await send(first, 'ann@home.test', 'after the backup')
  for (const part of ['api', 'smtp', 'queue'] as const) await first.kill(part)

  const second = await start(copy)
  expect(await second.api.get('/v1/settings/general')).toMatchObject({ settings: { maxMessageBytes: 7_654_321 } })
  expect((await second.mail('ann@home.test')).length).toBe(3)
  await expect.poll(async () => (await waiting(second)).map(({ subject }) => subject).sort()).toHaveLength(3)
  expect((await waiting(second)).find(({ id }) => id === held?.id)?.state).toBe('held')

  const taken: string[] = []
  const sink = await startWireSink({ take: ({ content }) => taken.push(/waiting-\d/.exec(content)?.[0] ?? content) })
  try {
    const changed = await second.api.patch(`/v1/domains/${far.id}`, { route: { ...route, port: sink.port } })
    await second.settle(changed.revision)
    await second.api.post(`/v1/messages/${held?.id}/release`)
    await second.api.post('/v1/queue/run')
    await until('all that waited is delivered', () => taken.length >= 3)
    const { total } = await second.quiet()
    expect(taken.sort()).toEqual(['waiting-1', 'waiting-2', 'waiting-3'])
    expect(total).toMatchObject({ received: 6, delivered: 6, queued: 0, balance: 0 })
  } finally {
    await sink.stop()
  }
})
