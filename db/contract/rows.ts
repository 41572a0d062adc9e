import { z } from 'zod'
import { type Certificate, certificateRowSchema } from './certificates.ts'
import {
  type Account,
  type Alias,
  accountInputSchema,
  aliasInputSchema,
  type DkimKey,
  type Domain,
  dkimKeyInputSchema,
  domainInputSchema,
  type Group,
  groupInputSchema,
} from './directory.ts'
import { type ListEntry, type ListName, listEntrySchema, listNames } from './lists.ts'
import { type Order, orderSchema } from './orders.ts'
import { replaceSecrets, type SecretPlace, secretPlaces, withSecretsOptional } from './secrets.ts'
import { type DesiredService, desiredServiceSchema, type ServiceName } from './services.ts'
import { type SettingGroup, type Settings, settingGroupNames, settingGroupSchema, settingGroups } from './settings.ts'

/**
 * Workers replicate rows. A row has a kind, an id within the kind, and a value. A revision is a set of rows that
 * changed together. Revision numbers make updates idempotent: applying a revision twice, or receiving it late, changes
 * nothing.
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
  service: DesiredService
  domain: Domain
  account: Account
  alias: Alias
  group: Group
  certificate: Certificate
  'dkim-key': DkimKey
  order: Order
} & { [list in ListName]: ListEntry }

/**
 * The current state of a row; `value: null` means that it was deleted. The id is the group's name for `settings`, the
 * service's name for `service`, and opaque for other kinds.
 */
export type Row = { [kind in RowKind]: { kind: kind; id: string; value: RowValues[kind] | null } }[RowKind]

/** A row, and the revision that last changed it. */
export type RowChange = Row & { revision: number }

/** The schema of a stored row of each kind. A worker refuses a revision with a row that does not match. */
const rowSchemas = {
  service: desiredServiceSchema,
  'control-access': listEntrySchema,
  kill: listEntrySchema,
  accept: listEntrySchema,
  white: listEntrySchema,
  relay: listEntrySchema,
  domain: domainInputSchema,
  account: accountInputSchema
    .omit({ secret: true })
    .extend({ secretHash: z.string().meta({ secret: true, sentTo: ['smtp'] }) }),
  alias: aliasInputSchema,
  group: groupInputSchema,
  certificate: certificateRowSchema,
  'dkim-key': dkimKeyInputSchema.extend({
    privateKey: z.string().meta({ secret: true, sentTo: ['queue'] }),
    dnsName: z.string(),
    dnsValue: z.string(),
  }),
  order: orderSchema,
} as const

export type RowName = { kind: RowKind; id: string }

/** Returns the schema of a stored row. Throws for an unknown settings group. */
export function schemaOf({ kind, id }: RowName): z.ZodType {
  return kind === 'settings' ? settingGroups[settingGroupSchema.parse(id)].schema : rowSchemas[kind]
}

type Read = { secrets: SecretPlace[]; received: z.ZodType }

const read = (schema: z.ZodType): Read => ({ secrets: secretPlaces(schema), received: withSecretsOptional(schema) })
const readRows = new Map(Object.entries(rowSchemas).map(([kind, schema]) => [kind, read(schema)]))
const readGroups = new Map(settingGroupNames.map((group): [string, Read] => [group, read(settingGroups[group].schema)]))

/** Returns the places of secrets in a row. */
export function secretsOf({ kind, id }: RowName): readonly SecretPlace[] {
  return (kind === 'settings' ? readGroups.get(id) : readRows.get(kind))?.secrets ?? []
}

/** Returns whether rows of a kind can hold a secret. */
export function holdsSecrets(kind: RowKind): boolean {
  return kind === 'settings'
    ? [...readGroups.values()].some(({ secrets }) => secrets.length > 0)
    : secretsOf({ kind, id: '' }).length > 0
}

/** Returns the row's value as sent to workers of a service: with only the secrets that they need. */
export function fitFor(service: ServiceName, row: RowName, value: unknown): unknown {
  return replaceSecrets(value, secretsOf(row), (secret, { place: { sentTo, withheld } }) =>
    sentTo.includes(service) ? secret : withheld,
  )
}

const rowHeadSchema = z.looseObject({ kind: rowKindSchema, id: z.string().min(1), value: z.unknown() })

/** Parses a row from outside the process. Throws an Error that names the row and the problem. */
export function parseRow(input: unknown): Row {
  const { kind, id, value } = rowHeadSchema.parse(input)
  if (value === null || value === undefined) return { kind, id, value: null } as Row
  const schema = kind === 'settings' ? readGroups.get(settingGroupSchema.parse(id)) : readRows.get(kind)
  // The row lacks the secrets that this service does not receive.
  const parsed = (schema?.received ?? z.never()).safeParse(value)
  if (parsed.success) return { kind, id, value: parsed.data } as Row
  const [issue] = parsed.error.issues
  throw new Error(`${kind} ${id}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? 'does not match its schema'}`)
}

/**
 * The kinds that workers of each service receive: only those they need. The Queue Manager receives accounts without
 * password hashes.
 */
export const rowsFor: Record<ServiceName, readonly RowKind[]> = {
  smtp: ['settings', 'service', ...listNames, 'domain', 'account', 'alias', 'group', 'certificate'],
  queue: ['settings', 'service', 'relay', 'domain', 'account', 'alias', 'group', 'dkim-key', 'order'],
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
