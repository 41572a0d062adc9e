import { emptyReplica, type Replica, type RowKind, rowsFor } from '@postern/contract/rows.ts'
import type { RevisionName } from '@postern/contract/worker-protocol.ts'
import { compileInSlices, compileSteps } from '@postern/policy/compile.ts'
import { emptyKillFile, killKeys } from '@postern/policy/kill-file.ts'
import { readSender } from '@postern/policy/path.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { Change } from '@postern/store/control/change.ts'
import { hasAllSince, headOf } from '@postern/store/control/revisions.ts'
import { changesPage, rowsById, rowsByKey } from '@postern/store/control/rows.ts'
import { type Database, yieldToEventLoop } from '@postern/store/database.ts'
import { timeSlice } from './time-slice.ts'

/**
 * The saved settings, compiled for the rules. The compiled policy is kept until the revision changes. Then only changed
 * rows are read and compiled again. A Kill File may hold a million entries, but one sender can match a few hundred at
 * most. These are queried for each sender, and the rest is never loaded.
 */

type Kept = RevisionName & { replica: Replica; policy: Policy }

const kinds = rowsFor.smtp.filter((kind) => kind !== 'kill' && kind !== 'certificate' && kind !== 'service')
const page = 1000
/** Above this many changed rows, reading everything again costs no more. */
const maxChanges = 20_000
const kept = new WeakMap<Database, Promise<Kept>>()

/** Returns the policy as of the newest revision. Its Kill File is empty: see `withKillFor`. */
export function policyInForce(control: Database): Promise<Kept> {
  const before = kept.get(control)
  const now = (before ? before.then((old) => renewed(control, old)) : loaded(control)).catch((error: unknown) => {
    kept.delete(control)
    throw error
  })
  kept.set(control, now)
  return now
}

async function renewed(control: Database, old: Kept): Promise<Kept> {
  const { revision, id } = await headOf(control)
  if (revision === old.revision && id === old.id) return old
  if (!(await hasAllSince(control, old))) return loaded(control)
  const replica = { ...old.replica }
  const changed = new Set<RowKind>()
  let from = { revision: old.revision, seq: Number.MAX_SAFE_INTEGER }
  for (let read = 0; ; read += page) {
    const changes = await changesPage(control, { kinds, after: from, upTo: revision, limit: page })
    for (const { kind, id, after } of changes) put(own(replica, changed, kind), id, after)
    const last = changes.at(-1)
    if (!last || changes.length < page) break
    if (read > maxChanges) return loaded(control)
    from = last
    await yieldToEventLoop()
  }
  const steps = compileSteps(replica, revision, { previous: old.policy, changed })
  return { revision, id, replica, policy: await compileInSlices(steps, timeSlice()) }
}

async function loaded(control: Database): Promise<Kept> {
  const { revision, id } = await headOf(control)
  const replica = emptyReplica()
  for (const kind of kinds)
    for (let after = ''; ; ) {
      const rows = await rowsById(control, kind, { after, limit: page })
      for (const { id, value } of rows) put(replica[kind], id, value)
      after = rows.at(-1)?.id ?? after
      if (rows.length < page) break
      await yieldToEventLoop()
    }
  return { revision, id, replica, policy: await compileInSlices(compileSteps(replica, revision), timeSlice()) }
}

/** Returns the policy with unsaved changes applied. */
export async function withChanges({ replica: saved, policy, revision }: Kept, changes: Change[]): Promise<Policy> {
  const replica = { ...saved }
  const changed = new Set<RowKind>()
  for (const { kind, id, after } of changes)
    if ((kinds as readonly RowKind[]).includes(kind)) put(own(replica, changed, kind), id, after)
  return compileInSlices(compileSteps(replica, revision, { previous: policy, changed }), timeSlice())
}

/** Returns the policy with the Kill File entries, saved or drafted, that can match this sender. */
export async function withKillFor(
  control: Database,
  policy: Policy,
  { mailFrom, changes = [] }: { mailFrom: string; changes?: Change[] },
): Promise<Policy> {
  const sender = readSender(mailFrom, policy)
  if (sender === null || sender === 'null-sender') return policy
  const replica = emptyReplica()
  for (const { id, value } of await rowsByKey(control, 'kill', killKeys(sender))) put(replica.kill, id, value)
  for (const { kind, id, after } of changes) if (kind === 'kill') put(replica.kill, id, after)
  const options = { previous: { ...policy, kill: emptyKillFile(0) }, changed: new Set<RowKind>(['kill']) }
  return compileInSlices(compileSteps(replica, policy.revision, options), timeSlice())
}

/** Returns a map that may be modified. The saved map is shared. */
function own(replica: Replica, changed: Set<RowKind>, kind: RowKind): Map<string, unknown> {
  if (!changed.has(kind)) (replica as Record<RowKind, unknown>)[kind] = new Map(replica[kind] as Map<string, unknown>)
  changed.add(kind)
  return replica[kind] as Map<string, unknown>
}

/** Secrets stay sealed, because no rule reads them. */
function put(rows: Map<string, unknown>, id: string, json: string | null): void {
  if (json === null) rows.delete(id)
  else rows.set(id, JSON.parse(json))
}
