import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DkimKey } from '@postern/contract/directory.ts'
import type { Envelope, Recipient } from '@postern/contract/envelope.ts'
import { cutFields } from '@postern/contract/event-lengths.ts'
import { type EventType, eventTypes } from '@postern/contract/events.ts'
import { emptyReplica, type Replica } from '@postern/contract/rows.ts'
import { advancedSchema } from '@postern/contract/settings/advanced.ts'
import { generalSchema } from '@postern/contract/settings/general.ts'
import { queueSchema } from '@postern/contract/settings/queue.ts'
import { Dns } from '@postern/net/dns.ts'
import { openLocalReader } from '@postern/spool/local/reader.ts'
import { type LocalWriter, openLocalWriter } from '@postern/spool/local/writer.ts'
import type { SpoolReader } from '@postern/spool/spool.ts'
import { uuidv7 } from 'uuidv7'
import { Queue, type QueueOptions } from '../queue.ts'
import { compileDeliverySettings } from '../route/delivery-settings.ts'

/** For tests: a Queue Manager on a spool of its own in a temporary directory, with a receiver's writer to bring mail. */

export type Seen = { type: EventType } & { [field: string]: unknown }

export type Rows = {
  general?: object
  queue?: object
  advanced?: object
  domains?: { name: string; aliases?: string[]; route: object; catchAll?: string }[]
  accounts?: string[]
  aliases?: { address: string; to: string[] }[]
  groups?: { address: string; members: string[] }[]
  dkimKeys?: Partial<DkimKey>[]
  /** Clients that may relay; none without it. */
  relay?: string[]
}

export class Testbed {
  readonly directory: string
  readonly events: Seen[] = []
  readonly fatal: Error[] = []
  receiver!: LocalWriter
  reader!: SpoolReader
  queue!: Queue
  #own!: LocalWriter
  #rows: Rows
  #parts: Partial<QueueOptions>
  #revision = 1
  #stopped = false

  private constructor(directory: string, rows: Rows, parts: Partial<QueueOptions>) {
    this.directory = directory
    this.#rows = rows
    this.#parts = parts
  }

  static async open(rows: Rows = {}, parts: Partial<QueueOptions> = {}): Promise<Testbed> {
    const bed = new Testbed(await mkdtemp(join(tmpdir(), 'postern-queue-')), rows, parts)
    bed.receiver = await openLocalWriter({ directory: join(bed.directory, 'spool'), name: 'smtp-1' })
    await bed.startQueue()
    return bed
  }

  async startQueue({ deliver = true } = {}): Promise<void> {
    const spool = join(this.directory, 'spool')
    this.reader = openLocalReader({ directory: spool })
    this.#own = await openLocalWriter({ directory: spool, name: 'queue-1' })
    this.queue = await Queue.open({
      dataDirectory: this.directory,
      reader: this.reader,
      writer: this.#own,
      record: (type, fields) => {
        // Whatever is recorded must be an event of the contract.
        eventTypes[type].fields.parse(cutFields(type, fields))
        this.events.push({ type, ...fields })
      },
      flushEvents: async () => {},
      fatal: (error) => this.fatal.push(error),
      dns: new Dns({ servers: [] }),
      ownAddresses: () => ({ hostname: 'mail.test', isOurs: () => false, listensOn: () => false }),
      settings: compileDeliverySettings(this.replica(), this.#revision),
      outboundPort: 25,
      env: { POSTERN_HOOKS_MAY_REACH: '127.0.0.0/8' },
      ...this.#parts,
    })
    this.#stopped = false
    if (deliver) this.queue.startDeliveries()
  }

  replica(): Replica {
    return replicaFrom(this.#rows)
  }

  apply(rows: Rows): void {
    this.#rows = { ...this.#rows, ...rows }
    this.#revision++
    this.queue.apply(compileDeliverySettings(this.replica(), this.#revision))
  }

  async stopQueue(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    await this.queue.close()
    await this.#own.close()
    await this.reader.close()
  }

  async close(): Promise<void> {
    await this.stopQueue()
    await this.receiver.close()
    await rm(this.directory, { recursive: true, force: true })
  }

  /** Stores a message as the receiver would; answers its id. */
  async send(to: (string | Partial<Recipient>)[], change: Partial<Envelope> & { text?: string } = {}): Promise<string> {
    const { text = 'Subject: test\r\n\r\nHello.\r\n', ...rest } = change
    const envelope = envelopeFor(to, rest)
    await this.receiver.write({ envelope, body: Buffer.from(text) })
    return envelope.id
  }

  /** Messages in a user's maildir. */
  async mailOf(address: string): Promise<string[]> {
    const [user = '', domain = ''] = address.split('@')
    const directory = join(this.directory, 'mail', domain, user, 'new')
    const names = await readdir(directory).catch(() => [])
    return Promise.all(names.sort().map((name) => readFile(join(directory, name), 'latin1')))
  }

  of(type: EventType, messageId?: string): Seen[] {
    return this.events.filter((event) => event.type === type && (!messageId || event.messageId === messageId))
  }
}

export function replicaFrom(rows: Rows): Replica {
  const replica = emptyReplica()
  replica.settings.set('general', generalSchema.parse({ hostname: 'mail.test', ...rows.general }))
  replica.settings.set('queue', queueSchema.parse({ ...rows.queue }))
  replica.settings.set('advanced', advancedSchema.parse({ ...rows.advanced }))
  for (const address of ['sender@sender.test', ...(rows.accounts ?? [])])
    replica.account.set(address, { address, login: '' } as never)
  for (const alias of rows.aliases ?? []) replica.alias.set(alias.address, alias)
  for (const group of rows.groups ?? []) replica.group.set(group.address, group)
  for (const key of rows.dkimKeys ?? []) replica['dkim-key'].set(`${key.domain} ${key.selector}`, key as DkimKey)
  const createdAt = new Date(0).toISOString()
  for (const value of rows.relay ?? []) replica.relay.set(value, { value, comment: '', createdBy: 'test', createdAt })
  // Notifications come home to the maildir of the sender.
  for (const domain of [{ name: 'sender.test', route: { type: 'maildir' } }, ...(rows.domains ?? [])]) {
    replica.domain.set(domain.name, { aliases: [], catchAll: '', ...domain } as never)
  }
  return replica
}

export function envelopeFor(to: (string | Partial<Recipient>)[], change: Partial<Envelope> = {}): Envelope {
  return {
    id: uuidv7(),
    receivedAt: Date.now(),
    worker: 'smtp-1',
    revision: 1,
    origin: 'smtp',
    sender: 'sender@sender.test',
    recipients: to.map((each) => {
      const given = typeof each === 'string' ? { address: each } : each
      return { address: '', original: given.address ?? '', ...given }
    }),
    body: '7bit',
    smtpUtf8: false,
    hops: 1,
    client: { ip: '127.0.0.1', helo: 'client.test' },
    ...change,
  }
}

/** Waits until `holds` does; fails after `ms` with what it waited for. */
export async function until(what: string, holds: () => unknown, ms = 25_000): Promise<void> {
  const end = Date.now() + ms
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
