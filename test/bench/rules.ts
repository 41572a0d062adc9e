import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Dns, startDns } from '../peers/dns.ts'
import { runSmtpSource } from '../peers/smtp-source.ts'
import { ApiRefusal } from '../system/api.ts'
import { type Postern, startPostern } from '../system/postern.ts'
import { conditions } from './conditions.ts'
import { figure, median, table, times } from './figures.ts'
import { cpuDetail, posternFigures } from './target.ts'

/**
 * Measures the cost of each rule: one Postern, whose settings change at run time, with the same load after each change
 * (1 KiB, 50 sessions reused, from a client that is in no list and has not logged in). The defaults are measured again
 * before each row, and the row is compared with that result.
 */

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    /** Entries of the Kill File. */
    entries: { type: 'string', default: '1000000' },
    /** Only rows whose name contains this. */
    only: { type: 'string', default: '' },
  },
})

type Patches = Record<string, object>
type Row = {
  name: string
  set: (at: { application: string }) => Patches
}

const mailAuthentication = (value: 'off' | 'enforce') => ({
  general: { verifySpf: value, verifyDkim: value, verifyDmarc: value },
})
const lookups = { checkSenderDomain: 'reject', checkHelo: 'reject', checkReverseDns: 'reject' }
const dnsbl = [{ zone: 'bl.test', answer: '127.0.0.*', action: 'reject' }]
const many = 1_000_000
const rates = {
  connectionsPerMinute: many,
  connectionsPerHour: many,
  messagesPerMinute: many,
  messagesPerHour: many,
  recipientsPerMinute: many,
  recipientsPerHour: many,
}
const errors = {
  softErrorLimit: 10,
  softErrorDelaySeconds: 1,
  hardErrorLimit: 20,
  maxInvalidRecipients: 20,
  windowMinutes: 10,
  blockMinutes: 10,
}
const application = (url: string) => ({
  deliveryApplication: { url, secret: 'only for the bench', timeoutSeconds: 5, onFailure: 'accept' },
})

const rows: Row[] = [
  { name: 'no SPF, DKIM, DMARC', set: () => mailAuthentication('off') },
  { name: 'SPF, DKIM, DMARC enforced', set: () => mailAuthentication('enforce') },
  {
    name: 'no look-ups',
    set: () => ({ security: { checkSenderDomain: 'off', checkHelo: 'off', checkReverseDns: 'off' } }),
  },
  { name: 'look-ups reject', set: () => ({ security: lookups }) },
  { name: 'DNS block list', set: () => ({ security: { dnsbl } }) },
  { name: 'greylist', set: () => ({ security: { greylist: { delaySeconds: 1, rememberDays: 1 } } }) },
  { name: 'rates', set: () => ({ security: { ratesPerClient: rates, ratesPerLogin: rates } }) },
  { name: 'dictionary attack options', set: () => ({ dictionary: errors }) },
  { name: 'log level verbose', set: () => ({ logging: { level: 'verbose' } }) },
  { name: 'log level debug', set: () => ({ logging: { level: 'debug' } }) },
  { name: 'delivery application', set: ({ application: url }) => ({ advanced: application(url) }) },
  {
    name: 'everything on',
    set: ({ application: url }) => ({
      ...mailAuthentication('enforce'),
      security: { ...lookups, dnsbl, greylist: { delaySeconds: 1, rememberDays: 1 }, ratesPerClient: rates },
      dictionary: errors,
      logging: { level: 'verbose' },
      advanced: application(url),
    }),
  },
]

const to = 'sink@load.test'
const from = 'source@far.test'
const zone = {
  names: {
    'far.test': {
      mx: [[10, 'mx.far.test']] as [number, string][],
      a: ['127.0.0.1'],
      txt: ['v=spf1 ip4:127.0.0.0/8 -all'],
    },
    'mx.far.test': { a: ['127.0.0.1'] },
    'source.test': { a: ['127.0.0.1'] },
    '_dmarc.far.test': { txt: ['v=DMARC1; p=none'] },
  },
  ptr: { '127.0.0.1': 'source.test' },
}

/** Sends until the run takes about two seconds, and returns the rate and the CPU time of each part. */
async function load(postern: Postern, messages: number): Promise<{ perSecond: number; cpu: number; detail: string }> {
  const { cpuMicros, cpuByProcess } = posternFigures(postern)
  const before = cpuMicros()
  const parts = cpuByProcess()
  const run = await runSmtpSource({
    host: postern.host,
    port: postern.smtpPort,
    to,
    from,
    bytes: 1024,
    messages,
    sessions: 50,
    reuse: true,
  })
  await postern.quiet({ withinMs: 300_000, everyMs: 500 })
  return {
    perSecond: run.perSecond,
    cpu: (cpuMicros() - before) / messages,
    detail: cpuDetail({ cpuByProcess }, parts, messages),
  }
}

async function change(postern: Postern, patches: Patches): Promise<void> {
  for (const [group, patch] of Object.entries(patches)) {
    const { revision } = await postern.api.patch(`/v1/settings/${group}`, patch)
    await postern.settle(revision)
  }
}

/** Returns the values that the patches will replace, to restore the defaults later. */
async function saved(postern: Postern, patches: Patches): Promise<Patches> {
  const before: Patches = {}
  for (const [group, patch] of Object.entries(patches)) {
    const { settings } = await postern.api.get<{ settings: Record<string, unknown> }>(`/v1/settings/${group}`)
    before[group] = Object.fromEntries(Object.keys(patch).map((key) => [key, settings[key]]))
  }
  return before
}

type Sample = Awaited<ReturnType<typeof load>>

function line(name: string, samples: Sample[], beside: Sample[]): string[] {
  const rate = median(samples.map(({ perSecond }) => perSecond))
  const cpu = median(samples.map((sample) => sample.cpu))
  const plain = median(beside.map((sample) => sample.cpu))
  const ratio = rate / median(beside.map(({ perSecond }) => perSecond))
  const more = `${cpu > plain ? '+' : ''}${figure(Math.round(cpu - plain))}`
  return [name, figure(rate), times(ratio), more, `${figure(cpu)}${samples.at(-1)?.detail ?? ''}`]
}

async function measure(postern: Postern, { name, set }: Row, application: string): Promise<string[]> {
  const patches = set({ application })
  const before = await saved(postern, patches)
  const plain: Sample[] = []
  const with_: Sample[] = []
  const messages = await messagesFor(postern)
  for (let round = 0; round < Number(options.rounds); round++) {
    plain.push(await load(postern, messages))
    await change(postern, patches)
    // What is seen for the first time by a greylist comes back; what is looked up for the first time is in the cache.
    await runSmtpSource({ ...warm(postern), goOn: true }).catch(() => {})
    await sleep(1_200)
    with_.push(await load(postern, messages))
    await change(postern, before)
  }
  return line(name, with_, plain)
}

const warm = ({ host, smtpPort }: Postern) => ({
  host,
  port: smtpPort,
  to,
  from,
  bytes: 1024,
  messages: 200,
  sessions: 10,
  reuse: true,
})

async function messagesFor(postern: Postern): Promise<number> {
  const run = await runSmtpSource({ ...warm(postern), messages: 2_000, sessions: 50 })
  await postern.quiet()
  return Math.max(2_000, Math.round(run.perSecond * 2))
}

async function killFile(postern: Postern, entries: number): Promise<string[]> {
  const messages = await messagesFor(postern)
  const plain: Sample[] = []
  for (let round = 0; round < Number(options.rounds); round++) plain.push(await load(postern, messages))
  const text = Array.from({ length: entries }, (_, i) => {
    const word = (i * 2_654_435_761).toString(36)
    return ['', `${word}@host${i % 1000}.example`, `@${word}.example`][(i % 2) + 1]
  }).join('\n')
  const imported = await postern.api.call('POST', '/v1/lists/kill/import', {
    body: text,
    headers: { 'content-type': 'text/plain' },
    withinMs: 300_000,
  })
  if (imported.status !== 200) throw new ApiRefusal('import of the Kill File', imported)
  await postern.settle((imported.body as { revision: number }).revision, 300_000)
  const full: Sample[] = []
  for (let round = 0; round < Number(options.rounds); round++) full.push(await load(postern, messages))
  return line(`Kill File of ${figure(entries)}`, full, plain)
}

/** A delivery application that accepts everything. */
async function startApplication(): Promise<{ url: string; stop: () => void }> {
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      response.setHeader('content-type', 'application/json')
      response.end('{"action":"accept"}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, stop: () => server.close() }
}

async function prepare(dns: Dns): Promise<Postern> {
  const postern = await startPostern({ dns: dns.server, env: { POSTERN_HOOKS_MAY_REACH: '127.0.0.0/8' } })
  await postern.api.post('/v1/domains', { name: 'load.test', route: { type: 'discard' } })
  await postern.api.post('/v1/accounts', { address: to, login: 'sink', secret: 'only for the bench' })
  // A client in the relay list is exempt from many of the measured rules.
  const { items } = await postern.api.get<{ items: { id: string }[] }>('/v1/lists/relay')
  for (const { id } of items) await postern.api.del(`/v1/lists/relay/${id}`)
  await postern.api.patch('/v1/settings/advanced', { maxConnectionsPerAddress: 0 })
  await postern.settle()
  return postern
}

console.log(`${conditions()}\n`)
const dns = await startDns(zone)
const application_ = await startApplication()
const postern = await prepare(dns)
try {
  await runSmtpSource({ ...warm(postern), messages: 10_000, sessions: 20 })
  await postern.quiet()
  const lines: string[][] = []
  const say = (row: string[]) => {
    lines.push(row)
    console.error(row.join('  '))
  }
  for (const row of rows.filter(({ name }) => name.includes(options.only)))
    say(await measure(postern, row, application_.url))
  if ('Kill File'.includes(options.only)) say(await killFile(postern, Number(options.entries)))
  console.log(table(['policy', 'messages/s', 'to default', 'CPU µs more', 'CPU µs'], lines))
  console.log(
    `\nMedians of ${options.rounds} rounds, each compared with the default policy measured just before; 1 KiB, 50 sessions reused, to a route that discards.`,
  )
} finally {
  await postern.stop()
  application_.stop()
  await dns.stop()
}
