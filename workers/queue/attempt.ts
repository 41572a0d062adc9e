import { type Attempted, type AttemptWorld, deferredFor, type Final, type Via } from './attempted.ts'
import type { Connection } from './client/connection.ts'
import { ConnectionFailure, type Peer } from './client/dial.ts'
import { fitsAhead, mayFollow, noRequireTls, type Result, type Transaction, transact } from './client/transaction.ts'
import { openFor, poolKey } from './dial.ts'
import { formFor, isPlain, plainForm } from './form/form.ts'
import type { Job, Turn } from './lanes.ts'
import { type Mail, requireTlsOf } from './mail.ts'
import { deliverToMaildir } from './maildir.ts'
import type { Destination } from './route/destination.ts'
import { type Hosts, hostsFor, type Remote } from './route/hosts.ts'
import { deliverToBucket } from './s3.ts'
import { deliverToWebhook } from './webhook.ts'

/** One attempt: a job goes to its destination, and each of its recipients comes back with what became of it. */

/** Hosts that answered and could not take the message, in one attempt. */
const mostSessions = 2

export async function attempt(
  job: Job,
  { destination, turn }: { destination: Destination; turn: Turn },
  world: AttemptWorld,
): Promise<Attempted> {
  const startedAt = Date.now()
  const { via, results } = await deliverTo(job, { destination, turn }, world)
  return { via, results, startedAt, durationMs: Date.now() - startedAt }
}

type Delivered = Pick<Attempted, 'via' | 'results'>

async function deliverTo(
  job: Job,
  { destination, turn }: { destination: Destination; turn: Turn },
  world: AttemptWorld,
): Promise<Delivered> {
  switch (destination.kind) {
    case 'discard':
      return same(job, { kind: 'discarded', by: `route discard of ${destination.domain}` }, { host: 'discard' })
    case 'maildir':
      return deliverToMaildir(job, destination.domain, world)
    case 'webhook':
      return deliverToWebhook(job, destination, world)
    case 's3':
      return deliverToBucket(job, destination, world)
    default:
      return deliverRemote(job, { destination, turn }, world)
  }
}

function same(job: Job, result: Final, via: Via): Delivered {
  return { via, results: new Map(job.recipients.map((r) => [r, result])) }
}

async function deliverRemote(
  job: Job,
  { destination, turn }: { destination: Remote; turn: Turn },
  world: AttemptWorld,
): Promise<Delivered> {
  const key = poolKey(destination, job.mail)
  const begun = turn.begun?.connection
  if (begun && !begun.alive) turn.begun = undefined
  const open = turn.begun?.connection ?? world.pool.take(key)
  if (open) {
    try {
      return await deliverOn(open, job, { key, turn, world })
    } catch (error) {
      // Some servers lose what follows a body: this one is not sent anything ahead again.
      if (open === begun) world.pool.distrust(open.dial.peer)
      // A connection that waited may have died; that says nothing about the host. After the body, it may have been taken.
      if (!(error instanceof ConnectionFailure) || error.stage === 'end') return failed(job, error, open.dial.peer)
    }
  }
  const { dns, port, pool } = world
  const hosts = await hostsFor(destination, { dns, ourselves: world.ourselves(), port })
  if (hosts.kind !== 'hosts') return unreachable(job, hosts, destination)
  let last: Delivered | undefined
  let barred: Delivered | undefined
  let sessions = 0
  for (const peer of hosts.peers) {
    const dead = pool.deadFor(peer)
    if (dead) {
      last ??= failed(job, dead, peer)
      continue
    }
    try {
      const { connection, under } = await openFor(job, { destination, peer }, world)
      const delivered = await deliverOn(connection, job, { key: under, turn, world })
      if (lacksRequireTls(delivered)) {
        barred = delivered
        continue
      }
      last = delivered
      if (++sessions >= mostSessions || [...delivered.results.values()].some(({ kind }) => kind !== 'deferred')) break
    } catch (error) {
      if (error instanceof ConnectionFailure && isBarred(job, error)) {
        barred = barredBy(job, error, peer)
        continue
      }
      last = failed(job, error, peer)
      if (!(error instanceof ConnectionFailure) || error.stage === 'end') break
    }
  }
  // RFC 8689 §4.2.1: a message with REQUIRETLS comes back when no host of the domain will do, and waits for one that is away.
  return last ?? barred ?? same(job, deferredFor('4.4.1', 'no host to try', 'no-host'), { host: 'none' })
}

function lacksRequireTls({ results }: Delivered): boolean {
  // It is said of the whole transaction, so one result tells.
  const first = results.values().next().value
  return first?.kind === 'bounced' && first.cause === noRequireTls
}

function isBarred({ mail }: Job, { stage, reply }: ConnectionFailure): boolean {
  if (requireTlsOf(mail.envelope) !== 'demanded') return false
  return stage === 'proof' || (stage === 'tls' && (reply === undefined || reply.code >= 500))
}

function barredBy(job: Job, error: ConnectionFailure, { host, address, port }: Peer): Delivered {
  const result = { kind: 'bounced', status: '5.7.10', reply: error.text, cause: causeOf(error) } as const
  return same(job, result, { host, address, port })
}

async function deliverOn(
  connection: Connection,
  job: Job,
  { key, turn, world }: { key: string; turn: Turn; world: AttemptWorld },
): Promise<Delivered> {
  const results = new Map<number, Final>()
  let waiting = job.recipients
  try {
    while (waiting.length > 0) {
      const begun = turn.begun !== undefined
      turn.begun = undefined
      let transaction: Transaction
      if (begun || isPlain(connection, job.mail, world)) transaction = plainForm(job.mail, waiting, world)
      else {
        const form = await formFor(job.mail, { connection, recipients: waiting, world })
        for (const [r, result] of form.unfit) results.set(r, result)
        ;({ transaction, recipients: waiting } = form)
        if (waiting.length === 0) break
      }
      const answers = await transact(connection, transaction, { begun, next: () => begin(connection, turn, world) })
      const again: number[] = []
      for (const [i, r] of waiting.entries()) {
        const answer = answers[i] as Result
        if (answer.kind === 'again') again.push(r)
        else results.set(r, answer)
      }
      waiting = again
      if (waiting.length > 0 && !connection.alive) {
        for (const r of waiting)
          results.set(r, deferredFor('4.4.2', 'the connection ended before its turn', 'connection-lost'))
        waiting = []
      }
    }
  } catch (error) {
    // Those settled by an earlier transaction of this attempt keep what they have.
    if (results.size === 0) throw error
    for (const [r, result] of failed(job, error, connection.dial.peer).results)
      if (!results.has(r)) results.set(r, result)
  }
  if (turn.follows) return { via: viaOf(connection), results }
  const { queue } = world.plan()
  const delivered = { via: viaOf(connection), results }
  // The next message with REQUIRETLS asks the other hosts, too.
  const mayReuse = queue.reuseConnections && !lacksRequireTls(delivered)
  world.pool.give(key, connection, mayReuse ? queue.maxMessagesPerConnection : 0)
  return delivered
}

/** Takes the lane's next job when it may go out behind the body that is just being sent. */
function begin(connection: Connection, turn: Turn, world: AttemptWorld): Transaction | undefined {
  const { queue } = world.plan()
  const mayReuse = queue.reuseConnections && connection.used < queue.maxMessagesPerConnection
  if (!mayReuse || !mayFollow(connection) || !world.pool.trusts(connection.dial.peer)) return undefined
  const fits = (mail: Mail, recipients: readonly number[]) =>
    isPlain(connection, mail, world) && fitsAhead(connection, plainForm(mail, recipients, world))
  const job = turn.next(fits)
  if (!job) return undefined
  turn.follows = { job, connection }
  return plainForm(job.mail, job.recipients, world)
}

function viaOf(connection: Connection): Via {
  const { host, address, port } = connection.dial.peer
  const tls = connection.proved ? `${connection.tls}, certificate verified` : connection.tls
  return { host, address, port, ...(tls ? { tls } : {}) }
}

function unreachable(job: Job, hosts: Exclude<Hosts, { kind: 'hosts' }>, destination: Remote): Delivered {
  const { kind, status, text, cause } = hosts
  const host =
    destination.kind === 'mx'
      ? destination.domain
      : destination.kind === 'address'
        ? destination.address
        : destination.host
  return same(job, { kind, status, reply: text, cause }, { host })
}

const statusOf: Record<ConnectionFailure['stage'], string> = {
  connect: '4.4.1',
  greeting: '4.4.2',
  hello: '4.4.2',
  terms: '4.7.5',
  tls: '4.7.5',
  proof: '4.7.5',
  auth: '4.7.8',
  mail: '4.4.2',
  rcpt: '4.4.2',
  data: '4.4.2',
  body: '4.4.2',
  end: '4.4.2',
}

/** The attempt broke: everybody waits. Whatever the remote said to a connection, it said nothing about the recipients. */
function failed(job: Job, error: unknown, peer: Peer): Delivered {
  const via = { host: peer.host, address: peer.address, port: peer.port }
  if (!(error instanceof ConnectionFailure)) throw Object.assign(error as Error, { via })
  return same(job, deferredFor(statusOf[error.stage], error.text, causeOf(error)), via)
}

function causeOf({ stage }: ConnectionFailure): string {
  switch (stage) {
    case 'connect':
      return 'cannot-connect'
    case 'tls':
      return 'no-tls'
    case 'terms':
    case 'proof':
      return 'tls-not-verified'
    case 'auth':
      return 'login-refused'
    default:
      return 'connection-lost'
  }
}
