import { join } from 'node:path'
import { startDns } from '../peers/dns.ts'
import { freePort, startPeer, temporaryDirectory, until } from '../peers/peer.ts'
import { type PostfixDelivery, startPostfix } from '../peers/postfix.ts'
import { type Postern, type PosternProcess, startPostern } from '../system/postern.ts'
import { cpuMicros, ownCpuMicros } from '../system/processes.ts'
import { figure } from './figures.ts'

/** A server under measurement, as the benches see it. */
export type Target = {
  name: string
  host: string
  port: number
  /** A recipient that it accepts mail for. */
  to: string
  /** CPU time of all its processes so far, ended ones included. */
  cpuMicros(): number
  /** The same by process, if there are several named ones. */
  cpuByProcess?(): Record<string, number>
  /** Resolves when its queue is empty. */
  drained(): Promise<void>
  stop(): Promise<void>
}

const to = 'sink@load.test'

/** What it does with mail after the queue: discards it, or relays it to a sink. */
export type Disposal = { to: 'discard' } | { to: 'relay'; host: string; port: number }

/**
 * Debian's Postfix with its defaults: mail is synced to disk before 250, then passes its queue to `discard:` or to the
 * sink. So it does the same work as Postern. Two settings are in its favour: it does not log, as if syslog cost
 * nothing, and it does not delay a client for a second when mail arrives faster than it leaves (in_flow_delay), which
 * would halve its rate in short runs.
 */
export async function postfixTarget(deliver: PostfixDelivery, name = 'Postfix'): Promise<Target> {
  const postfix = await startPostfix({ deliver, log: false, settings: { in_flow_delay: '0' } })
  return {
    name,
    host: postfix.host,
    port: postfix.port,
    to,
    cpuMicros: () => cpuMicros(postfix.pid),
    drained: async () => {
      if (deliver.to === 'hold') return
      const empty = async () => (await postfix.queued()) === 0
      await until('the queue of Postfix is empty', empty, { withinMs: 300_000, everyMs: 100 })
    },
    stop: postfix.stop,
  }
}

/** smtp-server with nothing behind it: no policy, no disk. */
export async function bareTarget(): Promise<Target> {
  const port = await freePort()
  const bare = await startPeer({
    name: 'smtp-server',
    command: process.execPath,
    args: [join(import.meta.dirname, 'smtp-server.ts'), String(port)],
    host: '127.0.0.1',
    port,
    directory: await temporaryDirectory('bare'),
  })
  return {
    name: 'smtp-server, discarding',
    host: bare.host,
    port,
    to,
    cpuMicros: () => cpuMicros(bare.pid),
    drained: async () => {},
    stop: bare.stop,
  }
}

/** Complete Postern as `npm start` runs it, with the default policy, events and books. */
export async function posternTarget(disposal: Disposal): Promise<Target> {
  // By default SPF and DMARC of every message are looked up, so there is a name server that answers.
  const dns = await startDns(zone)
  const postern = await startPostern({ dns: dns.server })
  if (disposal.to === 'relay') {
    const gateway = { host: disposal.host, port: disposal.port }
    await postern.api.patch('/v1/settings/general', { gateway })
  } else {
    await postern.api.post('/v1/domains', { name: 'load.test', route: { type: 'discard' } })
    await postern.api.post('/v1/accounts', { address: to, login: 'sink', secret: 'only for the bench' })
  }
  // Postfix exempts clients on its own networks from its limit of 50 connections; the load needs the same here.
  await postern.api.patch('/v1/settings/advanced', { maxConnectionsPerAddress: 0 })
  await postern.settle()
  return {
    name: 'Postern',
    host: postern.host,
    port: postern.smtpPort,
    to,
    ...posternFigures(postern),
    drained: async () => {
      // Not often, because the API's time for the answer would count as time for messages.
      await postern.quiet({ withinMs: 300_000, everyMs: 500 })
    },
    stop: async () => {
      await postern.stop()
      await dns.stop()
    },
  }
}

/** DNS records of the senders of the load. */
const zone = {
  names: {
    'load.test': { a: ['127.0.0.1'], txt: ['v=spf1 ip4:127.0.0.0/8 -all'] },
    '_dmarc.load.test': { txt: ['v=DMARC1; p=none'] },
    'source.test': { a: ['127.0.0.1'] },
  },
}

/** CPU time of a Postern as a whole, and of each of its processes. */
export function posternFigures(postern: Postern) {
  const of = (part: PosternProcess) => postern.pids(part).reduce((sum, pid) => sum + ownCpuMicros(pid), 0)
  return {
    cpuMicros: () => cpuMicros(postern.pid),
    cpuByProcess: () => ({ smtp: of('smtp'), queue: of('queue'), api: of('api') }),
  }
}

/** CPU time a message by process since `before`, for the bench's table: ` (smtp 40, queue 60, api 80)`. */
export function cpuDetail(
  target: Pick<Target, 'cpuByProcess'>,
  before: Record<string, number> | undefined,
  messages: number,
): string {
  const after = target.cpuByProcess?.()
  if (!before || !after) return ''
  const parts = Object.entries(after).map(
    ([name, micros]) => `${name} ${figure((micros - (before[name] ?? 0)) / messages)}`,
  )
  return ` (${parts.join(', ')})`
}
