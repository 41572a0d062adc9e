/**
 * Measures the cost of a decision: microseconds for each stage of a typical accepted message and decisions per second, with
 * an empty Kill File and with a million entries. Also measures how long it takes to compile such a list, step by step.
 * Times are CPU time of the thread, so that other work on the machine does not count.
 * `node --expose-gc test/bench/policy.ts [entries]`
 */
import { parseMailAddress } from '../../db/contract/address.ts'
import { emptyReplica, type Replica, type RowKind } from '../../db/contract/rows.ts'
import { compileSteps } from '../../workers/policy/compile.ts'
import { decideConnect, decideData, decideHello, decideMail, decideRcpt } from '../../workers/policy/decide.ts'
import type { Policy } from '../../workers/policy/policy.ts'

const entries = Number(process.argv[2] ?? 1_000_000)
const rounds = 300_000
const created = { createdBy: 'bench', createdAt: '2026-01-01T00:00:00Z' }

const empty = replicaWith(0)
const full = replicaWith(entries)
console.log(`Kill File of ${entries} entries: a third each user@host, @host and @*suffix of 6 to 24 characters`)
const small = compile(empty, 'compile, empty Kill File')
const large = compile(full, 'compile, full Kill File')
const again = compile(full, 'compile, full, only settings changed', large)
full.kill.set('one more', { value: '@one-more.example', ...created })
compile(full, 'compile, full, one entry added', again, 'kill')
console.log(`heap ${Math.round(process.memoryUsage().rss / 1e6)} MB resident with replica and policy`)
for (let i = 0; i < 3; i++) {
  measure('empty Kill File', small)
  measure('full Kill File', again)
}

function replicaWith(kills: number): Replica {
  const replica = emptyReplica()
  replica.domain.set('d', {
    name: 'example.org',
    aliases: [],
    catchAll: '',
    route: { type: 'maildir' },
    verifyRecipients: 'directory',
  })
  for (let i = 0; i < 1000; i++)
    replica.account.set(`${i}`, { address: `user${i}@example.org`, login: '', secretHash: '', disabled: false })
  for (let i = 0; i < kills; i++) replica.kill.set(`${i}`, { value: killValue(i), ...created })
  replica.relay.set('r', { value: '127.0.0.0/8', ...created })
  return replica
}

function killValue(i: number): string {
  const word = (i * 2_654_435_761).toString(36)
  if (i % 3 === 0) return `${word}@host${i % 1000}.example`
  return i % 3 === 1 ? `@${word}.example` : `@*${word}${'x'.repeat(i % 12)}.test`
}

function compile(replica: Replica, title: string, previous?: Policy, kind: RowKind = 'settings'): Policy {
  const options = previous ? { previous, changed: new Set([kind]) } : {}
  const steps = compileSteps(replica, 1, options)
  globalThis.gc?.()
  const start = cpuMs()
  let slowest = 0
  let count = 0
  for (;;) {
    const before = cpuMs()
    const step = steps.next()
    slowest = Math.max(slowest, cpuMs() - before)
    count++
    if (!step.done) continue
    console.log(`${title}: ${ms(cpuMs() - start)} in ${count} steps, slowest ${ms(slowest)}`)
    return step.value
  }
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`
}

function measure(title: string, policy: Policy): void {
  const session = { now: 1, listener: 'smtp' as const, ip: '192.0.2.77', machine: 'mx', tlsAvailable: false }
  const senders = Array.from({ length: 64 }, (_, i) => `bounce-${i}@mail${i}.sender-${i * 7}.net`)
  const mails = senders.map((senderText) => {
    const sender = parseMailAddress(senderText)
    return { ...session, senderText, sender, smtpUtf8: false, spool: 'ready' as const, declaredSize: 1024 }
  })
  const rcpts = mails.map((mail, i) => {
    const recipientText = `user${i}@example.org`
    return { ...mail, recipientText, recipient: parseMailAddress(recipientText), recipientsSoFar: 0 }
  })
  const end = { recipients: 1, size: 1024, bareLineFeeds: false, nulOctets: false, hops: 1 }
  const ends = mails.map((mail) => ({ ...mail, ...end }))
  const connect = { ...session, sessionsOpen: 5, sessionsFromAddress: 1 }
  const hello = { ...session, verb: 'EHLO' as const, argument: 'mail.sender.net' }
  const costs = [
    time('connect', () => decideConnect(connect, policy)),
    time('hello', () => decideHello(hello, policy)),
    time('mail', (i) => decideMail(mails[i & 63] ?? never(), policy)),
    time('rcpt', (i) => decideRcpt(rcpts[i & 63] ?? never(), policy)),
    time('data', (i) => decideData(ends[i & 63] ?? never(), policy)),
  ]
  const message = costs.slice(2).reduce((sum, { each }) => sum + each, 0)
  const parts = costs.map(({ stage, each }) => `${stage} ${(each * 1000).toFixed(2)}`).join(', ')
  console.log(`${title}: ${parts} µs; mail + rcpt + data ${Math.round(1000 / message)} messages/s`)
}

function time(stage: string, decide: (i: number) => { outcome: { kind: string } }): { stage: string; each: number } {
  const start = cpuMs()
  for (let i = 0; i < rounds; i++) if (decide(i).outcome.kind !== 'proceed') throw new Error(`${stage} refused`)
  return { stage, each: (cpuMs() - start) / rounds }
}

function never(): never {
  throw new Error('unreachable')
}
