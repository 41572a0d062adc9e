import type { WriteResult } from '@postern/contract/views.ts'
import { connect, proxyHeader, type Reply, type WireClient } from '@postern/smtp/test/wire-client.ts'
import { until } from '../peers/peer.ts'
import type { Live } from '../wire/live.ts'
import type { Around } from './around.ts'
import { doBefore, doWrong, loginLine } from './before.ts'
import type { Case } from './case.ts'
import { noon, turnsOf } from './dialogue.ts'
import { balancer, type World, worldOf } from './world.ts'

/** Runs the same dialogue with a live worker, after setting the case's settings through the API. */

let inForce = ''

export async function setTheWorld(live: Live, around: Around, one: Pick<Case, 'given' | 'facts'>): Promise<void> {
  const world = worldOf(one.given)
  const text = JSON.stringify(world)
  if (text === inForce) return
  const { lists, isOver } = expiring(world.lists, one.facts.now ?? noon)
  const { revision } = await live.api.post<WriteResult>('/v1/apply', {
    document: { postern: 1, ...around.staged({ ...world, lists }) },
  })
  inForce = text
  await live.postern.settle(revision)
  await until('what is over in the case is over', isOver)
}

/** Expired entries cannot be saved. Gives them a short lifetime and waits for its end. */
function expiring(lists: World['lists'], now: number): { lists: World['lists']; isOver: () => boolean } {
  const soon = Date.now() + 3_000
  let over = 0
  const entry = (given: Record<string, unknown>) => {
    if (typeof given !== 'object' || !given.expiresAt || Date.parse(String(given.expiresAt)) > now) return given
    over = soon
    return { ...given, expiresAt: new Date(soon).toISOString() }
  }
  const changed = Object.entries(lists).map(([list, entries]) => [list, entries.map(entry)])
  return { lists: Object.fromEntries(changed) as World['lists'], isOver: () => Date.now() > over }
}

type Heard = {
  says: string
  expects: string
  reply: string
}

/** Prepares the case and runs the dialogue. @returns the expected and the actual reply of each line */
export async function speak(live: Live, one: Case): Promise<Heard[]> {
  const others: WireClient[] = []
  for (let i = 1; i < (one.facts.sessionsFromAddress ?? 1); i++) {
    const other = await open(live, one)
    await other.reply()
    others.push(other)
  }
  await doBefore(one, (from) => open(live, one, from))
  const client = await open(live, one)
  try {
    return await converse(client, one)
  } finally {
    client.destroy()
    for (const other of others) other.destroy()
  }
}

async function converse(client: WireClient, one: Case): Promise<Heard[]> {
  const heard: Heard[] = []
  const talksFirst = one.facts.lookups?.pregreet === true
  if (talksFirst) client.say('NOOP')
  const turns = turnsOf(one)
  for (const [i, { says, expects, stage }] of turns.entries()) {
    if (stage === 'fault') {
      const silent = i === turns.length - 1 ? 'slows' : 'nothing'
      const reply = await doWrong(client, one.facts, expects === '' ? silent : 'ends')
      heard.push({ says, expects, reply })
      continue
    }
    const reply = await turn(client, says, stage === 'data')
    heard.push({ says, expects, reply: firstLine(reply) })
    if (says === '' && talksFirst && reply.code === 220) await client.reply()
  }
  return heard
}

async function turn(client: WireClient, says: string, isMessage: boolean): Promise<Reply> {
  if (says === '') return client.reply()
  if (isMessage) return client.write(Buffer.from(`${says.replace(/^\./gm, '..')}\r\n.\r\n`, 'utf8')).reply()
  if (says === 'STARTTLS') {
    await client.startTls()
    return { code: 220, lines: ['2.0.0'], raw: '220 2.0.0 Ready to start TLS', afterMs: 0 }
  }
  return client.ask(says.startsWith('AUTH ') ? loginLine(says) : says)
}

function open(live: Live, one: Case, from = one.ip): Promise<WireClient> {
  const { smtpPort, submissionPort } = live.postern
  const port = one.facts.listener === 'submission' ? submissionPort : smtpPort
  return connect({ port, from: balancer, first: proxyHeader(from) })
}

function firstLine({ raw }: Reply): string {
  return (raw.split('\n')[0] ?? '').replace(/^(\d{3})-/, '$1 ')
}
