import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { connect } from '@postern/smtp/test/wire-client.ts'
import { conditions } from '../bench/conditions.ts'
import { startLoad } from '../bench/load.ts'
import { until } from '../peers/peer.ts'
import { type Postern, type PosternProcess, startPostern } from '../system/postern.ts'

/**
 * `npm run faults:attack`: thousands of addresses attack while legitimate mail flows. Prints memory before and after,
 * the rate of legitimate mail before and during the attack, and how many addresses were blocked. Exits with 1 if
 * legitimate mail fell below half, if memory grew past its limit, or if an attacker was not blocked.
 */
const { values: options } = parseArgs({
  options: {
    addresses: { type: 'string', default: '20000' },
    /** The length of the attack. */
    seconds: { type: 'string', default: '60' },
    /** One in this many attackers guesses passwords. Each guess costs the server a password hash. */
    logins: { type: 'string', default: '40' },
  },
})
const addresses = Number(options.addresses)
const seconds = Number(options.seconds)
const loginEvery = Number(options.logins)
const honestSeconds = 15
const maxGrowthMib = 300
const atOnce = 200

const attackerAt = (i: number) => `127.${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`
const login = `AUTH PLAIN ${Buffer.from('\0jane\0a guess').toString('base64')}`

/** Attacks once: guesses passwords, guesses recipients, or speaks HTTP. */
async function attack(port: number, i: number): Promise<void> {
  const client = await connect({ port, from: attackerAt(i), withinMs: 60_000 })
  try {
    const { code } = await client.reply()
    if (code !== 220) return
    if (i % loginEvery === 0) {
      await client.say('EHLO attacker.test').reply()
      for (let guess = 0; guess < 5; guess++) if ((await client.ask(login)).code === 421) return
    } else if (i % 2 === 0) {
      await client.say('EHLO attacker.test', 'MAIL FROM:<x@far.test>', ...guesses).reply()
      for (let n = 0; n <= guesses.length; n++) await client.reply()
    } else await client.ask('GET / HTTP/1.1')
  } catch {
    // The server closed the session early.
  } finally {
    client.destroy()
  }
}
const guesses = ['a', 'b', 'c'].map((name) => `RCPT TO:<${name}@home.test>`)

function memoryMib(postern: Postern, part: PosternProcess): { now: number; peak: number } {
  const text = readFileSync(`/proc/${postern.pids(part)[0]}/status`, 'utf8')
  const read = (name: string) => Math.round(Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) / 1024)
  return { now: read('VmRSS'), peak: read('VmHWM') }
}

function startHonest(postern: Postern, prefix: string) {
  const aim = { host: postern.host, port: postern.smtpPort, sessions: 10, bytes: 1024, afterLoss: 'reconnect' } as const
  return startLoad({ ...aim, prefix, to: { domain: 'sink.test' } })
}

async function blockedSoFar({ api }: Postern): Promise<number> {
  const { text } = await api.call('GET', '/v1/lists/control-access/export')
  return text.split('\n').filter((line) => line.startsWith('127.')).length
}

async function run(postern: Postern): Promise<boolean> {
  const { api } = postern
  await api.post('/v1/domains', { name: 'sink.test', route: { type: 'discard' }, catchAll: 'all@sink.test' })
  await api.post('/v1/accounts', { address: 'all@sink.test', secret: 'a password that nobody guesses' })
  await api.post('/v1/domains', { name: 'home.test', route: { type: 'discard' } })
  await api.post('/v1/accounts', { address: 'jane@home.test', login: 'jane', secret: 'a password that nobody guesses' })
  await api.patch('/v1/settings/advanced', { allowPlainWithoutTls: true })
  const guarded = { maxInvalidRecipients: 3, windowMinutes: 10, blockMinutes: 60 }
  const { revision } = await api.patch('/v1/settings/dictionary', guarded)
  await postern.settle(revision)

  const calm = startHonest(postern, 'calm-')
  await sleep(honestSeconds * 1000)
  await calm.stop()
  const before = {
    rate: calm.accepted.size / honestSeconds,
    smtp: memoryMib(postern, 'smtp'),
    api: memoryMib(postern, 'api'),
  }

  const honest = startHonest(postern, 'attacked-')
  const began = performance.now()
  const open = new Set<Promise<void>>()
  for (let i = 0; i < addresses; i++) {
    const early = began + (i * seconds * 1000) / addresses - performance.now()
    if (early > 1) await sleep(early)
    while (open.size >= atOnce) await Promise.race(open)
    const one = attack(postern.smtpPort, i)
      .catch(() => {})
      .finally(() => open.delete(one))
    open.add(one)
  }
  await Promise.all(open)
  const took = (performance.now() - began) / 1000
  await honest.stop()
  const rate = honest.accepted.size / took
  let blocked = 0
  const all = async () => {
    blocked = await blockedSoFar(postern)
    return blocked >= addresses
  }
  await until('all attackers are blocked', all, { withinMs: 60_000, everyMs: 500 }).catch(() => {})
  await postern.settle()
  const after = { smtp: memoryMib(postern, 'smtp'), api: memoryMib(postern, 'api') }

  const perCent = (100 * rate) / before.rate
  console.log(`${addresses} addresses attacked within ${took.toFixed(0)} s, ${blocked} are blocked
legitimate mail: ${before.rate.toFixed(0)} msg/s before, ${rate.toFixed(0)} msg/s during (${perCent.toFixed(0)} %), ${honest.dropped} sessions lost, refused ${honest.refused.size}
memory of the SMTP worker: ${before.smtp.now} MiB before, ${after.smtp.now} MiB after (peak ${after.smtp.peak})
memory of the API: ${before.api.now} MiB before, ${after.api.now} MiB after (peak ${after.api.peak})`)
  const grew = Math.max(after.smtp.peak - before.smtp.peak, after.api.peak - before.api.peak)
  return blocked >= addresses && perCent >= 50 && grew <= maxGrowthMib
}

console.log(`${conditions()}\n`)
const postern = await startPostern()
try {
  await postern.settle()
  process.exitCode = (await run(postern)) ? 0 : 1
} finally {
  await postern.stop()
}
