import { z } from 'zod'
import type { Account, Alias, Certificate, DkimKey, Domain, Group } from './directory.ts'
import { type ListEntry, type ListName, listNames } from './lists.ts'
import type { Order } from './orders.ts'
import type { ServiceName, ServiceWish } from './services.ts'
import type { SettingGroup, Settings } from './settings.ts'

/**
 * Everything workers replicate is a row: a kind, an id within the kind, a value. A revision is a set of rows that changed
 * together. The number decides: applying a revision twice, or hearing of it late, changes nothing.
 */
export const rowKinds = [
  'settings',
  'service',
  ...listNames,
  'domain',
  'account',
  'alias',
  'group',
  'certificate',
  'dkim-key',
  'order',
] as const
export type RowKind = (typeof rowKinds)[number]
export const rowKindSchema = z.enum(rowKinds)

export type RowValues = {
  settings: Settings[SettingGroup]
  service: ServiceWish
  domain: Domain
  account: Account
  alias: Alias
  group: Group
  certificate: Certificate
  'dkim-key': DkimKey
  order: Order
} & { [list in ListName]: ListEntry }

/** One row as it is now; `value: null` says that it was deleted. Ids: the group's name for `settings`, the service's for `service`, else opaque. */
export type Row = { [kind in RowKind]: { kind: kind; id: string; value: RowValues[kind] | null } }[RowKind]

/** A row and the revision that made it so. */
export type RowChange = Row & { revision: number }

/** Which kinds a worker of each service is given: no more than it needs. */
export const rowsFor: Record<ServiceName, readonly RowKind[]> = {
  smtp: ['settings', 'service', ...listNames, 'domain', 'account', 'alias', 'group', 'certificate'],
  queue: ['settings', 'service', 'domain', 'dkim-key', 'order'],
}

/** The replicated state in memory, by kind and id. */
export type Replica = { [kind in RowKind]: Map<string, RowValues[kind]> }

export function emptyReplica(): Replica {
  return Object.fromEntries(rowKinds.map((kind) => [kind, new Map()])) as unknown as Replica
}

/** Sets or deletes one row in place. */
export function applyRow(replica: Replica, row: Row): void {
  const rows = replica[row.kind] as Map<string, unknown>
  if (row.value === null) rows.delete(row.id)
  else rows.set(row.id, row.value)
}
