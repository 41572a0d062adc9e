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
 * The saved settings as the rules see them. What is compiled is kept until the revision moves, and then only what changed is
 * read and compiled again. The Kill File may hold a million entries, of which a sender can match a few hundred at most: these
 * are asked of the database for each sender, and nothing else of it is ever loaded here.
 */

type Kept = RevisionName & { replica: Replica; policy: Policy }

const kinds = rowsFor.smtp.filter((kind) => kind !== 'kill' && kind !== 'certificate' && kind !== 'service')
const page = 1000
/** Past so many changed rows reading all anew is no dearer. */
const maxChanges = 20_000
const kept = new WeakMap<Database, Promise<Kept>>()

/** As of the newest revision. Its Kill File is empty: see `withKillFor`. */
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

/** The policy with changes that are not saved. */
export async function withChanges({ replica: saved, policy, revision }: Kept, changes: Change[]): Promise<Policy> {
  const replica = { ...saved }
  const changed = new Set<RowKind>()
  for (const { kind, id, after } of changes)
    if ((kinds as readonly RowKind[]).includes(kind)) put(own(replica, changed, kind), id, after)
  return compileInSlices(compileSteps(replica, revision, { previous: policy, changed }), timeSlice())
}

/** The policy with those entries of the Kill File, saved or drafted, that can match this sender. */
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

/** A map that may be written to; the saved one is shared with others. */
function own(replica: Replica, changed: Set<RowKind>, kind: RowKind): Map<string, unknown> {
  if (!changed.has(kind)) (replica as Record<RowKind, unknown>)[kind] = new Map(replica[kind] as Map<string, unknown>)
  changed.add(kind)
  return replica[kind] as Map<string, unknown>
}

/** Secrets stay sealed: no rule reads one. */
function put(rows: Map<string, unknown>, id: string, json: string | null): void {
  if (json === null) rows.delete(id)
  else rows.set(id, JSON.parse(json))
}
