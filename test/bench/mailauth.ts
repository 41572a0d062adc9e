import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { MailCheck } from '@postern/contract/mailauth.ts'
import { uncached } from '@postern/mailauth/resolver.ts'
import { verify } from '@postern/mailauth/verify.ts'
import { dkimKey, signed } from '../peers/dkim.ts'
import { type Dns, startDns } from '../peers/dns.ts'
import { temporaryDirectory, until } from '../peers/peer.ts'
import { startSmtpSink } from '../peers/smtp-sink.ts'
import { runSmtpSource } from '../peers/smtp-source.ts'
import { type Postern, startPostern } from '../system/postern.ts'
import { conditions } from './conditions.ts'
import { figure, median, table } from './figures.ts'
import { cpuDetail, posternFigures } from './target.ts'

/**
 * Measures the cost of SPF, DKIM and DMARC. First alone, in one thread with the DNS in memory: CPU time per message for
 * each. Then end to end: a signed message of 1 KiB from smtp-source through Postern to smtp-sink, with all three off,
 * marked and enforced.
 */

const { values: options } = parseArgs({
  options: { messages: { type: 'string', default: '20000' }, rounds: { type: 'string', default: '3' } },
})
const messages = Number(options.messages)
const key = dkimKey('load.test')
const records = {
  'load.test': 'v=spf1 ip4:127.0.0.1 -all',
  's1._domainkey.load.test': key.record,
  '_dmarc.load.test': 'v=DMARC1; p=reject',
}

const plain = [
  'From: Source <source@load.test>',
  'To: sink@home.test',
  'Subject: One of many',
  'Date: Sun, 22 Nov 2026 10:00:00 +0000',
  'Message-ID: <one@load.test>',
  'MIME-Version: 1.0',
  'Content-Type: text/plain',
  '',
  ...Array.from({ length: 14 }, () => 'The quick brown fox jumps over the lazy dog, and goes on to the next line.'),
  '',
].join('\r\n')

/** Returns CPU microseconds per message, one message after another. */
async function alone(checks: readonly MailCheck[], message: Buffer): Promise<number> {
  const resolve = async (name: string, type: string) => {
    const text = records[name as keyof typeof records]
    if (type !== 'TXT' || !text) throw Object.assign(new Error(name), { code: 'ENOTFOUND' })
    return [[text]]
  }
  const question = {
    sender: 'source@load.test',
    ip: '127.0.0.1',
    helo: 'source.test',
    hostname: 'mx.home.test',
    checks,
  }
  const round = async (count: number) => {
    for (let i = 0; i < count; i++) await verify(question, [message], uncached(resolve))
  }
  await round(1000)
  const before = process.cpuUsage()
  await round(5000)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 5000
}

type Sample = {
  perSecond: number
  cpu: number
  detail: string
}

async function endToEnd(postern: Postern, { file, sink }: { file: string; sink: Sink }): Promise<Sample> {
  const { cpuMicros, cpuByProcess } = posternFigures(postern)
  const before = { cpu: cpuMicros(), parts: cpuByProcess(), received: sink.received().messages }
  const start = performance.now()
  const { host, smtpPort: port } = postern
  await runSmtpSource({
    host,
    port,
    file,
    from: 'source@load.test',
    to: 'sink@home.test',
    bytes: 0,
    messages,
    sessions: 50,
    reuse: true,
  })
  const all = () => sink.received().messages - before.received >= messages
  await until(`${messages} messages are relayed`, all, { withinMs: 300_000, everyMs: 5 })
  const perSecond = (messages * 1000) / (sink.received().lastAt - start)
  await postern.quiet({ withinMs: 300_000, everyMs: 500 })
  const cpu = (cpuMicros() - before.cpu) / messages
  return { perSecond, cpu, detail: cpuDetail({ cpuByProcess }, before.parts, messages) }
}

type Sink = Awaited<ReturnType<typeof startSmtpSink>>

/** A Postern that relays home.test to the sink, and verifies mail from this machine too. */
async function start(dns: Dns, sink: Sink): Promise<Postern> {
  const postern = await startPostern({ dns: dns.server })
  const { api } = postern
  const route = { type: 'smtp', host: sink.host, port: sink.port, tls: 'none' }
  await api.post('/v1/domains', { name: 'home.test', route })
  await api.post('/v1/accounts', { address: 'sink@home.test', login: 'sink', secret: 'only for the bench' })
  await api.patch('/v1/settings/advanced', { maxConnectionsPerAddress: 0 })
  const { items } = await api.get<{ items: { id: string }[] }>('/v1/lists/relay', { limit: 100 })
  for (const { id } of items) await api.del(`/v1/lists/relay/${id}`)
  await postern.settle()
  return postern
}

console.log(`${conditions()}\n`)
const message = await signed(plain, [key])
const kinds = [[], ['spf'], ['dkim'], ['dmarc'], ['spf', 'dkim', 'dmarc']] as const
const costs: string[][] = []
for (const checks of kinds)
  costs.push([checks.join(', ') || 'forged results only', figure(await alone(checks, Buffer.from(message)))])
console.log(`${table(['alone, in one thread', 'CPU µs'], costs)}\n\nDMARC looks at SPF and DKIM for itself.\n`)

const dns = await startDns({
  names: Object.fromEntries(Object.entries(records).map(([name, text]) => [name, { txt: [text] }])),
})
const sink = await startSmtpSink({ sessions: 1000 })
const postern = await start(dns, sink)
try {
  const file = join(await temporaryDirectory('mail'), 'message')
  await writeFile(file, message.replaceAll('\r\n', '\n'))
  const samples = new Map<string, Sample[]>(['off', 'mark', 'enforce'].map((mode) => [mode, []]))
  for (let round = 0; round <= Number(options.rounds); round++) {
    for (const [mode, of] of samples) {
      await postern.api.patch('/v1/settings/general', { verifySpf: mode, verifyDkim: mode, verifyDmarc: mode })
      await postern.settle()
      const sample = await endToEnd(postern, { file, sink })
      // The first round warms up.
      if (round > 0) of.push(sample)
    }
  }
  const rows = [...samples].map(([mode, of]) => [
    mode,
    figure(median(of.map(({ perSecond }) => perSecond))),
    `${figure(median(of.map(({ cpu }) => cpu)))}${of.at(-1)?.detail ?? ''}`,
  ])
  console.log(table(['end to end', 'messages/s', 'CPU µs'], rows))
  console.log(
    `\nMedians of ${options.rounds} interleaved rounds of ${messages} messages of ${message.length} bytes, 50 sessions reused. Goal with mark: 2 500 a second on two cores.`,
  )
} finally {
  await postern.stop()
  await sink.stop()
  await dns.stop()
}
