import { join } from 'node:path'
import { serversIn } from '@postern/contract/environment.ts'
import { chunkBytes, type WorkerRequestAnswer } from '@postern/contract/worker-requests.ts'
import { Verifier } from '@postern/mailauth/verifier.ts'
import { Dns } from '@postern/net/dns.ts'
import type { MessageChunks, Service, Worker } from '@postern/runtime/worker.ts'
import { lockDirectory } from '@postern/spool/local/lock.ts'
import { openLocalReader } from '@postern/spool/local/reader.ts'
import { openLocalWriter } from '@postern/spool/local/writer.ts'
import type { Trouble } from '@postern/spool/spool.ts'
import type { Logger } from 'pino'
import { openAssurance } from './assure/open-assurance.ts'
import { Queue } from './queue.ts'
import { compileDeliverySettings, type DeliverySettings } from './route/delivery-settings.ts'
import { ownAddressesFrom } from './route/own-addresses.ts'

/** The Queue Manager as the runtime knows it: settings in, status out, start, stop, restart. */

export async function queueService(
  worker: Worker & { dataDirectory: string; log: Pick<Logger, 'error' | 'warn'> },
  env: NodeJS.ProcessEnv,
): Promise<Service> {
  const directory = join(worker.dataDirectory, 'spool')
  const servers = serversIn(env, 'POSTERN_DNS_SERVERS') ?? []
  const dns = new Dns({ servers })
  const assurance = openAssurance(env, { dns, dataDirectory: worker.dataDirectory })
  // Two Queue Managers on one index deliver everything twice.
  const lock = lockDirectory(join(worker.dataDirectory, 'queue'))
  const trouble = (about: Trouble) => worker.log.error(about, 'the spool is in trouble')
  const reader = openLocalReader({ directory, trouble })
  const writer = await openLocalWriter({ directory, name: worker.id, trouble })
  const verifier = new Verifier({ servers, spool: directory })
  const state = new ServiceState(worker)
  let queue: Queue | undefined
  let settings: DeliverySettings | undefined
  const open = (first: DeliverySettings) =>
    Queue.open({
      dataDirectory: worker.dataDirectory,
      reader,
      writer,
      record: worker.record,
      wants: (type) => worker.wants(type),
      flushEvents: () => worker.flushEvents(),
      mirror: {
        send: (page) => worker.tellQueue(page),
        failed: (error) =>
          worker.log.warn({ error: (error as Error).message }, 'the API is not told what waits; it is tried again'),
      },
      wasAccepted: (messageId) => worker.wasAccepted(messageId),
      fatal: (error) => {
        worker.log.error({ error: error.message }, 'the index is damaged; ending, so that the next process rebuilds it')
        void worker.flushEvents().finally(() => process.exit(1))
      },
      clockJumped: (seconds) => worker.log.warn({ seconds }, 'the clock of this machine was set'),
      dns,
      assurance,
      verifier,
      ownAddresses: () => ownAddressesFrom({ env, settings: settings ?? first }),
      settings: first,
      outboundPort: Number(env.POSTERN_OUTBOUND_PORT) || 25,
      env,
    })
  return {
    name: 'queue',
    apply: async ({ replica, revision, changed }) => {
      const next = compileDeliverySettings(replica, revision, settings && { settings, changed })
      settings = next
      if (queue) queue.apply(next)
      else {
        try {
          queue = await open(next)
          state.cannotStart = undefined
        } catch (error) {
          // Tried again with the next settings; until then the service says why it does not run.
          state.cannotStart = (error as Error).message
          worker.log.error({ error: state.cannotStart }, 'the queue cannot be opened')
          worker.reportSoon()
          throw error
        }
      }
      queue.orders.take(replica.order)
      const desired = replica.service.get('queue') ?? { desired: 'running', generation: 0 }
      state.set(queue, desired)
    },
    status: () => state.status(queue, writer.hasRoom() ? undefined : noRoom),
    answerRequest: async (request, to) => {
      const found = request.kind === 'content' ? await queue?.content(request.messageId) : undefined
      return found && request.kind === 'content' ? sendContent(found, request.most, to) : { outcome: 'absent' }
    },
    stop: async () => {
      await queue?.close()
      await verifier.close()
      await writer.close()
      await reader.close()
      lock.release()
    },
  }
}

/** Sends at most `limit` bytes from the start of the message, chunk by chunk: at most one chunk is in memory. */
async function sendContent(
  { bytes, chunks }: { bytes: number; chunks: AsyncIterable<Buffer> },
  limit: number,
  to: MessageChunks,
): Promise<WorkerRequestAnswer> {
  const chunk = Buffer.alloc(chunkBytes)
  let n = 0
  let filled = 0
  let left = limit
  const send = async () => {
    await to.send(n++, Buffer.from(chunk.subarray(0, filled)))
    filled = 0
  }
  for await (const read of chunks) {
    for (let from = 0; from < read.length && left > 0; ) {
      const part = read.subarray(from, from + Math.min(chunkBytes - filled, left))
      filled += part.copy(chunk, filled)
      from += part.length
      left -= part.length
      if (filled === chunkBytes) await send()
    }
    if (left <= 0) break
  }
  if (filled > 0) await send()
  return { outcome: 'found', chunks: n, octets: bytes }
}

const noRoom = 'the disk is full: notifications and reports wait'

/** Carries out start, stop and restart one after the other, and says where it stands. */
class ServiceState {
  readonly #worker: Worker
  #observed: 'starting' | 'running' | 'stopping' | 'stopped' = 'starting'
  #generation = 0
  #chain: Promise<void> = Promise.resolve()
  #desired = ''
  /** Why the queue could not be opened. */
  cannotStart: string | undefined

  constructor(worker: Worker) {
    this.#worker = worker
  }

  set(queue: Queue, { desired, generation }: { desired: 'running' | 'stopped'; generation: number }): void {
    const wanted = `${desired} ${generation}`
    if (wanted === this.#desired) return
    this.#desired = wanted
    this.#chain = this.#chain.then(() => this.#carryOut(queue, { desired, generation }))
  }

  async #carryOut(
    queue: Queue,
    { desired, generation }: { desired: 'running' | 'stopped'; generation: number },
  ): Promise<void> {
    const restart = queue.delivering && generation !== this.#generation
    if (queue.delivering && (desired === 'stopped' || restart)) {
      this.#say('stopping')
      await queue.stopDeliveries()
    }
    if (restart) queue.forget()
    this.#generation = generation
    if (desired === 'running') {
      queue.startDeliveries()
      this.#say('running')
    } else this.#say('stopped')
  }

  #say(observed: 'running' | 'stopping' | 'stopped'): void {
    if (observed !== this.#observed) this.#worker.record('service.state', { service: 'queue', observed })
    this.#observed = observed
    this.#worker.reportSoon()
  }

  /** `refusal`: why nothing new can be written. */
  status(queue: Queue | undefined, refusal: string | undefined): ReturnType<Service['status']> {
    const base = { observed: this.#observed, generation: this.#generation, sessions: 0, listeners: [] }
    if (!queue)
      return this.cannotStart ? { ...base, observed: 'degraded', detail: this.cannotStart.slice(0, 500) } : base
    const { waiting, busy, waitingForHosts, jobs, inHand } = queue.status()
    const troubles = [...queue.troubles, ...(refusal === undefined ? [] : [['spool', refusal]])]
    const trouble = troubles.map(([part, text]) => `${part}: ${text}`).join('; ')
    const { delivered, deferred, bounced, discarded, attempts } = queue.counters
    return {
      ...base,
      ...(trouble ? { observed: 'degraded' as const, detail: trouble.slice(0, 500) } : {}),
      sessions: busy,
      waiting,
      metrics: {
        queue_delivered_total: delivered,
        queue_deferred_total: deferred,
        queue_bounced_total: bounced,
        queue_discarded_total: discarded,
        queue_attempts_total: attempts,
        queue_deliveries_busy: busy,
        queue_deliveries_waiting: waitingForHosts,
        queue_jobs_in_memory: jobs,
        queue_messages_in_memory: inHand,
        queue_spool_freed_bytes_total: queue.reclaim.freed,
      },
    }
  }
}
