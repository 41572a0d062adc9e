import type { ListInput, ListName } from '@postern/contract/lists.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import type { Page, RecordedEvent, WriteResult } from '@postern/contract/views.ts'
import { connect, type WireClient, type WireOptions } from '@postern/smtp/test/wire-client.ts'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { until } from '../peers/peer.ts'
import { readMaildir } from '../peers/postfix.ts'
import type { Api } from '../system/api.ts'
import { type Postern, type PosternOptions, startPostern } from '../system/postern.ts'

/**
 * A running Postern whose settings a test changes through the API. Every change also asserts that the SMTP worker that
 * applies it is the same process as before, and that a session opened before the change is still open.
 */
export type Live = {
  readonly postern: Postern
  readonly api: Api
  /** Patches a group of settings. Resolves when it is in force in both workers. */
  set(group: string, values: object): Promise<WriteResult>
  /** Adds an entry to a list. Returns its id. */
  add(list: ListName, entry: string | ListInput): Promise<string>
  remove(list: ListName, id: string): Promise<void>
  /** Removes all entries of a list, e.g. the defaults of the relay list. */
  empty(list: ListName): Promise<void>
  /** POST to `/v1/<kind>`, e.g. `accounts`. Returns its id. */
  make(kind: string, value: object): Promise<string>
  alter(path: string, patch: object): Promise<void>
  drop(path: string): Promise<void>
  /** Makes any other write, and waits for it like the rest. */
  change(write: () => Promise<WriteResult>): Promise<void>
  /** Opens a client that has read nothing yet. It is closed after the test. Default: the SMTP port. */
  connect(options?: Partial<WireOptions>): Promise<WireClient>
  /** The same, with banner and EHLO read. */
  greeted(options?: Partial<WireOptions>): Promise<WireClient>
  /** The session that is open across changes; `hold()` opens another when a test ended it on purpose. */
  readonly held: WireClient
  hold(): Promise<void>
  pid(service: ServiceName): number
  /** Resolves with the newest matching event of this type. */
  event(type: string, fits?: (event: RecordedEvent) => boolean): Promise<RecordedEvent>
  /** Messages in the maildir of an address of this Postern. */
  mail(address: string): Promise<string[]>
  /** Waits until `count` messages are there. */
  arrived(address: string, count: number): Promise<string[]>
}

export type LiveOptions = {
  postern?: () => PosternOptions
  /** The common state of all tests in the file. A rollback restores it after each test. */
  prepare?: (live: Live) => Promise<void>
}

type Made = WriteResult & { id: string }

/** One Postern for a test file: started before the tests, reset after each, stopped at the end. */
export function livePostern({ postern: options, prepare }: LiveOptions = {}): Live {
  const live = new RunningPostern()
  showLogsOnFailure(() => [live.started])
  beforeAll(async () => {
    await live.start(options?.() ?? {})
    await prepare?.(live)
    await live.remember()
  })
  afterEach(() => live.reset())
  afterAll(() => live.stop())
  return live
}

export const password = 'a password that is long enough'

/** A local domain, `home.test`, with two accounts and a maildir for each. */
export async function homeDomain(live: Live): Promise<void> {
  await live.make('domains', { name: 'home.test', aliases: ['also.test'], route: { type: 'maildir' } })
  await live.make('accounts', { address: 'ann@home.test', login: 'ann', secret: password })
  await live.make('accounts', { address: 'bob@home.test', secret: password })
}

/** Addresses used only by this test file. */
const holdsFrom = '127.0.0.99'

class RunningPostern implements Live {
  started: Postern | undefined
  #held: WireClient | undefined
  #clients: WireClient[] = []
  #baseline = 0
  #revision = 0
  #worker: { pid: number; startedAt: string } | undefined

  get postern(): Postern {
    if (!this.started) throw new Error('Postern is not started yet')
    return this.started
  }
  get api(): Api {
    return this.postern.api
  }
  get held(): WireClient {
    if (!this.#held) throw new Error('no session is held')
    return this.#held
  }

  async start(options: PosternOptions): Promise<void> {
    this.started = await startPostern(options)
    await this.postern.settle()
    this.#worker = await this.#smtpWorker()
    await this.hold()
  }

  async hold(): Promise<void> {
    this.#held?.destroy()
    this.#held = await connect({ port: this.postern.smtpPort, from: holdsFrom })
    await this.#held.hello('held.test')
  }

  async remember(): Promise<void> {
    this.#baseline = (await this.api.get<{ revision: number }>('/v1/settings')).revision
    this.#revision = this.#baseline
  }

  async reset(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.destroy()
    if (!this.started || this.#revision === this.#baseline) return
    await this.change(() => this.api.post(`/v1/revisions/${this.#baseline}/rollback`))
    this.#baseline = this.#revision
  }

  async stop(): Promise<void> {
    this.#held?.destroy()
    await this.started?.stop()
  }

  async change(write: () => Promise<WriteResult>): Promise<void> {
    await this.#changed(write)
  }

  async #changed<T extends WriteResult>(write: () => Promise<T>): Promise<T> {
    const result = await write()
    this.#revision = Math.max(this.#revision, result.revision)
    await this.postern.settle(result.revision)
    expect(await this.#smtpWorker()).toEqual(this.#worker)
    const still = await this.held.ask('NOOP')
    expect(still.code, `the session that was open during the change: ${still.raw}`).toBe(250)
    return result
  }

  async #smtpWorker(): Promise<{ pid: number; startedAt: string }> {
    const [worker] = (await this.postern.workers()).filter(({ service, live }) => live && service === 'smtp')
    if (!worker) throw new Error('no SMTP worker is live')
    expect(this.postern.pids('smtp')).toEqual([worker.pid])
    return { pid: worker.pid, startedAt: worker.startedAt }
  }

  set(group: string, values: object): Promise<WriteResult> {
    return this.#changed(() => this.api.patch(`/v1/settings/${group}`, values))
  }
  async add(list: ListName, entry: string | ListInput): Promise<string> {
    const body = typeof entry === 'string' ? { value: entry } : entry
    return (await this.#changed(() => this.api.post<Made>(`/v1/lists/${list}`, body))).id
  }
  async remove(list: ListName, id: string): Promise<void> {
    await this.drop(`/v1/lists/${list}/${id}`)
  }
  async empty(list: ListName): Promise<void> {
    const { items } = await this.api.get<Page<{ id: string }>>(`/v1/lists/${list}`, { limit: 100 })
    for (const { id } of items) await this.remove(list, id)
  }
  async make(kind: string, value: object): Promise<string> {
    return (await this.#changed(() => this.api.post<Made>(`/v1/${kind}`, value))).id
  }
  async alter(path: string, patch: object): Promise<void> {
    await this.#changed(() => this.api.patch(path, patch))
  }
  async drop(path: string): Promise<void> {
    await this.#changed(() => this.api.del(path))
  }

  async connect(options: Partial<WireOptions> = {}): Promise<WireClient> {
    const client = await connect({ port: this.postern.smtpPort, ...options })
    this.#clients.push(client)
    return client
  }
  async greeted(options: Partial<WireOptions> = {}): Promise<WireClient> {
    const client = await this.connect(options)
    await client.hello()
    return client
  }

  pid(service: ServiceName): number {
    return this.postern.pids(service)[0] ?? -1
  }

  async event(type: string, fits: (event: RecordedEvent) => boolean = () => true): Promise<RecordedEvent> {
    let found: RecordedEvent | undefined
    let seen: RecordedEvent[] = []
    const look = async () => {
      seen = (await this.api.get<Page<RecordedEvent>>('/v1/events', { type, limit: 100 })).items
      found = seen.find(fits)
      return found !== undefined
    }
    await until(`there is a matching ${type} event`, look, { everyMs: 100 }).catch((error) => {
      throw new Error(`${error.message}; there are: ${JSON.stringify(seen.slice(0, 5), null, 1)}`)
    })
    return found as RecordedEvent
  }

  mail(address: string): Promise<string[]> {
    const [user, domain] = address.split('@') as [string, string]
    return readMaildir(`${this.postern.dataDirectory}/mail/${domain}/${user}`)
  }
  async arrived(address: string, count: number): Promise<string[]> {
    let mail: string[] = []
    const come = async () => {
      mail = await this.mail(address)
      return mail.length >= count
    }
    await until(`${count} messages for ${address} are in its maildir`, come).catch((error) => {
      throw new Error(`${error.message}; there are ${mail.length}`)
    })
    expect(mail).toHaveLength(count)
    return mail
  }
}
