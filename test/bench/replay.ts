/**
 * Measures a million recorded sessions under two policies, through the API: the time of `POST /v1/replay`, in all and per
 * session, the cost of recording a message in the receiver, and the size of a record on disk.
 * `node test/bench/replay.ts [sessions]`
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { zstdCompressSync } from 'node:zlib'
import { startFixture } from '@postern/api/test/fixture.ts'
import { recordOf, type SessionRecord } from '@postern/contract/session-facts.ts'
import { connectFacts, dataFacts, mailFacts, rcptFacts, sessionFacts } from '@postern/policy/test/example.ts'

const sessions = Number(process.argv[2] ?? 1_000_000)
const perBatch = 5_000
const goalSeconds = 60
const began = Date.now() - 20 * 3_600_000

const api = await startFixture()
recording()
await fill()
await replay('a Kill File of 1000 entries, group access and a smaller size limit', {
  settings: { general: { maxMessageBytes: 20_000 }, security: { allowRemoteMailToGroups: false } },
  lists: { kill: { add: Array.from({ length: 1000 }, (_, i) => `@host${i}.example`) } },
})
await replay('nothing changed', {})
process.exit(0)

/** Facts of a typical message: one transaction, one recipient. */
function recording(): void {
  const facts = {
    connect: connectFacts(),
    hello: { ...sessionFacts(), verb: 'EHLO' as const, argument: 'mx.remote.example' },
    mail: mailFacts({ declaredSize: 3000 }),
    rcpts: [rcptFacts()],
    data: dataFacts(),
  }
  const rounds = 200_000
  for (let i = 0; i < 20_000; i++) JSON.stringify(recordOf(facts))
  const before = process.threadCpuUsage()
  for (let i = 0; i < rounds; i++) JSON.stringify(recordOf(facts))
  const used = process.threadCpuUsage(before)
  console.log(`recording: ${((used.user + used.system) / rounds).toFixed(2)} µs of CPU a message for its record`)
}

async function fill(): Promise<void> {
  await api.send('POST', '/v1/domains', { body: { name: 'example.org' } })
  for (let i = 0; i < 20; i++)
    await api.send('POST', '/v1/accounts', { body: { address: `user${i}@example.org`, secret: 'a long password' } })
  const token = await api.tokens.smtp()
  let bytes = 0
  let raw = 0
  let packing = 0
  for (let from = 0; from < sessions; from += perBatch) {
    const batch = Array.from({ length: Math.min(perBatch, sessions - from) }, (_, i) => sessionOf(from + i))
    const text = `${batch.map((session) => JSON.stringify(session)).join('\n')}\n`
    const startedAt = process.threadCpuUsage()
    const records = zstdCompressSync(text)
    packing += process.threadCpuUsage(startedAt).user
    bytes += records.length
    raw += text.length
    const query = {
      id: crypto.randomUUID(),
      since: batch[0]?.now ?? 0,
      until: batch.at(-1)?.now ?? 0,
      sessions: batch.length,
      dropped: 0,
    }
    const { status, text: said } = await api.send('POST', '/v1/worker/facts', { token, query, body: records })
    if (status !== 204) throw new Error(said)
  }
  console.log(
    `stored: ${sessions} sessions, ${(raw / sessions).toFixed(0)} bytes each, ${(bytes / sessions).toFixed(1)} compressed in ${(packing / sessions).toFixed(2)} µs`,
  )
}

function sessionOf(i: number): SessionRecord {
  const word = (i * 2_654_435_761) % 1_000_003
  return {
    now: began + Math.floor((i * 19 * 3_600_000) / sessions),
    ip: `${(word % 200) + 11}.${word % 251}.${i % 253}.${i % 250}`,
    machine: 'mx1',
    helo: `mail${word % 5000}.host${i % 3000}.example`,
    ...(i % 3 === 0 ? { tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' } } : {}),
    mailFrom: i % 20 === 0 ? '' : `person${word}@host${i % 30_000}.example`,
    declaredSize: 1000 + (word % 50_000),
    rcptTo: i % 10 === 0 ? ['nobody@example.org', 'user3@example.org'] : [`user${i % 20}@example.org`],
    size: 1000 + (word % 50_000),
    hops: 1,
    lookups: { helo: 'resolves', senderDomain: 'mail', reverseDns: { name: 'mail.example', confirmed: true } },
  }
}

async function replay(what: string, draft: object): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const { json } = await api.send('POST', '/v1/replay', { body: { draft, waitSeconds: 600 } })
  delay.disable()
  if (json.state !== 'done' || json.sessions !== sessions)
    throw new Error(JSON.stringify({ ...json, changes: undefined }))
  const seconds = json.tookMs / 1000
  console.log(
    `replay (${what}): ${json.sessions} sessions, ${json.verdicts} verdicts, ${json.changedVerdicts} change: ${seconds.toFixed(1)} s, ` +
      `${((json.tookMs * 1000) / sessions).toFixed(1)} µs a session; the API's loop was held at most ${(delay.max / 1e6).toFixed(0)} ms; ` +
      `goal for a million ${goalSeconds} s: ${(seconds * 1_000_000) / sessions < goalSeconds ? 'met' : 'MISSED'}`,
  )
}
