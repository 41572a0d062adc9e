import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Envelope } from '@postern/contract/envelope.ts'
import type { EventType, PosternEvent } from '@postern/contract/events.ts'
import type { ListName } from '@postern/contract/lists.ts'
import type { Offence } from '@postern/contract/offences.ts'
import { applyRow, emptyReplica, type Replica, type Row, type RowKind, rowKinds } from '@postern/contract/rows.ts'
import { defaultSettings, type SettingGroup, type Settings } from '@postern/contract/settings.ts'
import { hostsFrom } from '@postern/net/http/checked-hosts.ts'
import { Poster } from '@postern/net/http/post.ts'
import { openLocalReader } from '@postern/spool/local/reader.ts'
import { openLocalWriter } from '@postern/spool/local/writer.ts'
import type { Arrival, SpoolWriter } from '@postern/spool/spool.ts'
import type { FetchJson } from '../auth/tokens.ts'
import type { Environment } from '../listen/listen-addresses.ts'
import { Callouts } from '../lookups/callouts.ts'
import { Application } from '../lookups/delivery-application.ts'
import { Dns } from '../lookups/dns.ts'
import { Greylist } from '../lookups/greylist.ts'
import { Rates } from '../lookups/rates.ts'
import type { FactSink } from '../record/session-facts.ts'
import { SmtpService } from '../service.ts'

/** A receiver in this process with settings given as rows and a spool of its own; no API, no fixed port. */

export type Change = {
  settings?: { [group in SettingGroup]?: Partial<Settings[group]> }
  rows?: Row[]
}

export type TestReceiver = Awaited<ReturnType<typeof startTestReceiver>>

export async function startTestReceiver(
  change: Change = {},
  options: {
    environment?: Partial<Environment>
    spool?: (made: SpoolWriter) => SpoolWriter
    dns?: Dns
    record?: (type: EventType, fields: object) => void
    runQueue?: (domain: string, by: string) => Promise<void>
    fetchJson?: FetchJson
    facts?: FactSink
  } = {},
) {
  const directory = await mkdtemp(join(tmpdir(), 'postern-smtp-'))
  const made = await openLocalWriter({ directory: join(directory, 'spool'), name: 'smtp-1' })
  const spool = options.spool?.(made) ?? made
  const events: PosternEvent[] = []
  const record = (type: EventType, fields: object) => {
    events.push({ n: events.length + 1, at: new Date().toISOString(), type, ...fields } as PosternEvent)
  }
  const troubles: unknown[] = []
  const reported: Offence[] = []
  const hosts = hostsFrom({ POSTERN_HOOKS_MAY_REACH: '127.0.0.0/8' })
  const poster = new Poster(hosts)
  const greylist = await Greylist.open({ trouble: (error) => troubles.push(error) })
  const service = new SmtpService({
    worker: {
      id: 'smtp-1',
      record: options.record ?? record,
      reportSoon: () => {},
      reportOffences: async (offences) => {
        reported.push(...offences)
        return { revision: 0, blocked: [] }
      },
      wasAccepted: () => false,
      runQueue: options.runQueue ?? (async () => {}),
      ...(options.facts && { facts: options.facts }),
    },
    spool,
    lookups: {
      fetchJson: options.fetchJson ?? (() => Promise.reject(new Error('this test fetches nothing'))),
      rates: new Rates(),
      dns: options.dns ?? new Dns({ servers: [] }),
      greylist,
      callouts: new Callouts(hosts, record as never),
      application: new Application(poster, record as never),
      async close() {
        poster.close()
        await greylist.close()
      },
    },
    environment: {
      bind: '127.0.0.1',
      smtpPort: 0,
      submissionPort: 0,
      smtpsPort: 0,
      unprivileged: true,
      ...options.environment,
    },
    machine: 'mx.test',
    trouble: (error) => troubles.push(error),
  })
  const replica: Replica = emptyReplica()
  let revision = 0
  const apply = async (next: Change) => {
    const changed = new Set<RowKind>(revision === 0 ? rowKinds : [])
    for (const row of rowsOf(replica, next)) {
      applyRow(replica, row)
      changed.add(row.kind)
    }
    revision++
    await service.apply({ replica, revision, changed })
  }
  await apply({ settings: { general: { hostname: 'mx.test' } }, rows: basics })
  if (change.settings || change.rows) await apply(change)
  return {
    service,
    events,
    reported,
    troubles,
    apply,
    directory,
    port: (name = 'smtp') => {
      const found = service.status().listeners.find((one) => one.name === name)
      if (!found) throw new Error(`no listener ${name}`)
      return found.port
    },
    of: <T extends EventType>(type: T) =>
      events.filter((event) => event.type === type) as Extract<PosternEvent, { type: T }>[],
    /** Everything that is durable, in order. */
    stored: async () => {
      const reader = await openLocalReader({ directory: join(directory, 'spool') })
      // To the end of what was written; an empty spool has none that could be seen.
      const end = made.cursor()
      const stop = AbortSignal.timeout(events.some(({ type }) => type === 'message.accepted') ? 20_000 : 150)
      const messages: { envelope: Envelope; body: string; size: number }[] = []
      const arrivals: Arrival[] = []
      for await (const batch of reader.follow({ after: new Map(), signal: stop })) {
        arrivals.push(...batch.arrivals)
        if (batch.cursor === end) break
      }
      for (const one of arrivals)
        messages.push({
          envelope: one.envelope,
          size: one.size,
          body: (await reader.readBody(one.location)).toString('latin1'),
        })
      await reader.close()
      return messages
    },
    close: async () => {
      await service.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

const at = '2026-01-01T00:00:00Z'

export function entry(list: ListName, value: string, more: object = {}): Row {
  return { kind: list, id: `${list}-${value}`, value: { value, createdBy: 'test', createdAt: at, ...more } } as Row
}

const basics: Row[] = [
  {
    kind: 'domain',
    id: 'd1',
    value: {
      name: 'example.test',
      aliases: [],
      catchAll: '',
      route: { type: 'maildir' },
      verifyRecipients: 'directory',
    },
  },
  {
    kind: 'account',
    id: 'a1',
    // Hash of "correct horse", argon2id with little cost: tests are not attacked.
    value: { address: 'jane@example.test', login: '', disabled: false, secretHash: '' },
  },
  entry('relay', '127.0.0.0/8'),
]

function rowsOf(replica: Replica, { settings = {}, rows = [] }: Change): Row[] {
  const defaults = defaultSettings()
  const groups = Object.entries(settings).map(([group, values]): Row => {
    const name = group as SettingGroup
    const value = { ...defaults[name], ...replica.settings.get(name), ...values }
    return { kind: 'settings', id: name, value } as Row
  })
  return [...groups, ...rows]
}
