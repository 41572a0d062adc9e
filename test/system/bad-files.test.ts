import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Page, RecordedEvent } from '@postern/contract/views.ts'
import { connect } from '@postern/smtp/test/wire-client.ts'
import { afterEach, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { temporaryDirectory, until } from '../peers/peer.ts'
import { startWireSink, type WireSink } from '../wire/sink.ts'
import { type Postern, startPostern } from './postern.ts'
import { startBothByHand, type WorkerProcess } from './worker-process.ts'

/** Damaged or full files: reported clearly, nothing lost that can be kept, and no endless restarts. */

let postern: Postern | undefined
let sink: WireSink | undefined
let directory = ''
const after: (() => void)[] = []
const hands: WorkerProcess[] = []
afterEach(async () => {
  await Promise.all(hands.splice(0).map((worker) => worker.kill()))
  await postern?.stop()
  await sink?.stop()
  for (const undo of after.splice(0)) undo()
  if (directory) await rm(directory, { recursive: true, force: true })
  postern = sink = undefined
})
showLogsOnFailure(() => [postern])

async function start(): Promise<Postern> {
  postern = await startPostern({ dataDirectory: directory })
  await postern.settle()
  return postern
}

async function send({ smtpPort }: Postern, subject: string, bytes = 100): Promise<void> {
  const client = await connect({ port: smtpPort })
  await client.hello()
  const content = `Subject: ${subject}\r\n\r\n${`${'x'.repeat(76)}\r\n`.repeat(Math.ceil(bytes / 78))}`
  await client.mail({ from: 'ann@a.test', to: 'ann@a.test', content })
  await client.quit()
}

const eventsOf = async ({ api }: Postern, type: string) =>
  (await api.get<Page<RecordedEvent>>('/v1/events', { type })).items

/** Adds a domain whose mail goes to the sink. */
async function withDomain(running: Postern, arrived: string[]): Promise<void> {
  sink = await startWireSink({ take: ({ content }) => arrived.push(/^Subject: (.*)\r$/m.exec(content)?.[1] ?? '') })
  const route = { type: 'smtp', host: sink.host, port: sink.port, tls: 'none' }
  await running.api.post('/v1/domains', { name: 'a.test', catchAll: 'ann@a.test', route })
  const account = { address: 'ann@a.test', login: 'ann', secret: 'a long enough secret' }
  await running.settle((await running.api.post('/v1/accounts', account)).revision)
}

it('a damaged settings database: the start fails, says what is wrong and what to do, and changes nothing', async () => {
  directory = await temporaryDirectory('bad')
  await mkdir(join(directory, 'db'))
  const file = join(directory, 'db', 'settings.db')
  writeFileSync(file, 'this is no database\n'.repeat(500))
  const before = readFileSync(file)
  const refused = startPostern({ dataDirectory: directory })
  await expect(refused).rejects.toThrow(
    /postern cannot start: .*settings\.db is damaged or is no database.*Move .* aside/,
  )
  expect(readFileSync(file)).toEqual(before)
})

it('a settings row that does not parse is refused and reported; the last good one stays in force until a valid one follows', async () => {
  directory = await temporaryDirectory('bad')
  let running = await start()
  const good = await running.api.patch('/v1/settings/general', { maxMessageBytes: 44_444 })
  await running.settle(good.revision)
  await running.stop()
  const broken = good.revision + 1
  const control = new DatabaseSync(join(directory, 'db', 'settings.db'))
  const { value } = control.prepare("select value from rows where kind = 'settings' and id = 'general'").get() as {
    value: string
  }
  const worse = JSON.stringify({ ...JSON.parse(value), maxMessageBytes: 'many' })
  control
    .prepare("update rows set value = ?, revision = ? where kind = 'settings' and id = 'general'")
    .run(worse, broken)
  const row =
    "insert into changes (revision, seq, kind, id, key, before, after) values (?, 1, 'settings', 'general', 'general', ?, ?)"
  control.prepare(row).run(broken, value, worse)
  const revision =
    "insert into revisions (revision, at, actor, action, changes, summary) values (?, ?, 'test', 'test', 1, 'broken')"
  control.prepare(revision).run(broken, Date.now())
  control.close()

  postern = running = await startPostern({ dataDirectory: directory })
  const refusals = async () => (await running.workers()).filter(({ refused }) => refused)
  await until('both workers say that they refuse it', async () => (await refusals()).length === 2)
  for (const { refused, revision } of await refusals()) {
    expect(refused?.error).toMatch(/settings general.*maxMessageBytes/)
    expect(revision).toBe(good.revision)
  }
  await until('the refusal is an event', async () => (await eventsOf(running, 'policy.refused')).length >= 2)
  const size = async () => {
    const client = await connect({ port: running.smtpPort })
    const said = (await client.hello()).get('SIZE')
    await client.quit()
    return said
  }
  expect(await size()).toBe('44444')

  const healed = await running.api.patch('/v1/settings/general', { maxMessageBytes: 55_555 })
  await running.settle(healed.revision)
  expect(await size()).toBe('55555')
  await until('nobody refuses anything', async () => (await refusals()).length === 0)
})

it('a damaged queue.db is set aside and rebuilt from the spool, and all waiting mail is delivered', async () => {
  directory = await temporaryDirectory('bad')
  const arrived: string[] = []
  let running = await start()
  await withDomain(running, arrived)
  await running.api.post('/v1/services/queue/stop', {})
  for (const subject of ['one', 'two', 'three']) await send(running, subject)
  await running.stop()
  const file = join(directory, 'queue', 'queue.db')
  writeFileSync(file, Buffer.alloc(8192, 'damaged '))
  running = await start()
  const said = async () => JSON.stringify(await eventsOf(running, 'message.damaged'))
  await expect.poll(said).toMatch(/compared with the spool: 3 messages were added/)
  expect(
    readdirSync(join(directory, 'queue')).filter((name) => name !== 'queue.db' && name.startsWith('queue.db')).length,
  ).toBeGreaterThan(0)
  await running.api.post('/v1/services/queue/start', {})
  await until('all three came', () => arrived.length >= 3)
  expect(arrived.toSorted()).toEqual(['one', 'three', 'two'])
  await running.quiet()
})

it('damaged bytes in the spool cost one message, which is reported; the others are delivered', async () => {
  directory = await temporaryDirectory('bad')
  const arrived: string[] = []
  let running = await start()
  await withDomain(running, arrived)
  await running.kill('queue')
  const spool = join(directory, 'spool', 'smtp-1')
  await running.stop()
  // Written while no Queue Manager runs, and damaged before one does.
  postern = running = await startPostern({ dataDirectory: directory, env: { POSTERN_WORKERS: 'none' } })
  let workers = await startBothByHand(running)
  hands.push(...Object.values(workers))
  await running.settle()
  expect(await workers.queue.stop()).toBe(0)
  for (const subject of ['first', 'second', 'third']) await send(running, subject)
  expect(await workers.smtp.stop()).toBe(0)
  const segment = readdirSync(spool)
    .filter((name) => name.endsWith('.seg'))
    .map((name) => join(spool, name))
    .find((path) => readFileSync(path).includes('Subject: second'))
  expect(segment).toBeDefined()
  const bytes = readFileSync(segment as string)
  bytes.write('Sabject', bytes.indexOf('Subject: second'))
  writeFileSync(segment as string, bytes)
  workers = await startBothByHand(running)
  hands.push(...Object.values(workers))
  await until('the two others and a notification came', () => arrived.length >= 3, { withinMs: 20_000 })
  expect(arrived).toEqual(expect.arrayContaining(['first', 'third']))
  expect(arrived).not.toContain('second')
  // If kill -9 came between writes of its two files, the index records another event, without a message.
  const damaged = async () => (await eventsOf(running, 'message.damaged')).filter(({ messageId }) => messageId)
  await until('the damage is an event', async () => (await damaged()).length === 1)
  const { total } = await running.quiet()
  expect(total).toMatchObject({ received: 4, delivered: 3, bounced: 1, balance: 0 })
  expect(await damaged()).toHaveLength(1)
  expect(await workers.queue.stop()).toBe(0)
  expect(await workers.smtp.stop()).toBe(0)
})

const mayMount = process.getuid?.() === 0
it.runIf(mayMount)('a disk that fills up: 452 4.3.1 before it happens, and mail again when there is room', async () => {
  directory = await temporaryDirectory('small-disk')
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=180m', 'none', directory])
  expect(String(mounted.stderr)).toBe('')
  const path = directory
  after.push(() => spawnSync('umount', ['-l', path]))
  const running = await start()
  await withDomain(running, [])
  await send(running, 'fits', 1_000_000)
  // The reserve is 128 MiB. This leaves less, but more than any message needs.
  writeFileSync(join(directory, 'ballast'), Buffer.alloc(60 << 20, 1))
  const client = await connect({ port: running.smtpPort })
  await client.hello()
  const refused = async () => {
    const reply = await client.ask('MAIL FROM:<s@b.test> SIZE=1000')
    if (reply.code === 250) await client.ask('RSET')
    return reply.code === 452 && reply.enhanced === '4.3.1'
  }
  await until('MAIL is refused for want of room', refused)
  expect(running.pids('smtp')).toHaveLength(1)
  await rm(join(directory, 'ballast'))
  await until('there is room again', async () => !(await refused()))
  await client.quit()
  await send(running, 'fits again')
  const { total } = await running.quiet()
  expect(total).toMatchObject({ received: 2, delivered: 2 })
})
