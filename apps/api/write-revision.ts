import type { RowName } from '@postern/contract/rows.ts'
import type { RowDiff, WriteResult } from '@postern/contract/views.ts'
import type { Change } from '@postern/store/control/change.ts'
import type { ChangeSet } from '@postern/store/control/change-set.ts'
import { rememberAnswer } from '@postern/store/control/identity.ts'
import { type Committed, commit } from '@postern/store/control/revisions.ts'
import { withSecretsHidden } from '@postern/store/control/secrets.ts'
import type { Queries } from '@postern/store/database.ts'
import { sendChangeNotifications } from './change-notifications.ts'
import type { Dependencies, Identity } from './dependencies.ts'
import { warningsOf } from './warnings.ts'

/** Options of a write besides its body. */
export type WriteOptions = {
  expected: number | undefined
  dryRun: boolean
  comment: string | undefined
  /** The `Idempotency-Key` and a hash of its request. */
  idempotency: { key: string; requestHash: string } | undefined
  /** The HTTP status of a success. It is remembered with the answer. */
  status: number
}

/** One request, as passed to a verb. */
export type Call = {
  parts: Dependencies
  who: Identity
  write: WriteOptions
  address: string | undefined
  signal: AbortSignal
  /** For long-running requests: resolves to whether the caller still has access. */
  isStillAllowed: () => Promise<boolean>
}

export type WriteAbout = {
  /** For example `settings.change`. */
  action: string
  kind?: string
  entity?: string
  rolledBackTo?: number
  /** Makes a revision even if no row changed. */
  always?: boolean
}

/** The result of a verb's transaction: answer fields besides revision, diff and warnings. */
export type Outcome = { answer?: Record<string, unknown>; warnings?: string[] }

const shownChanges = 200

/**
 * Performs a write. Every write goes through here: one transaction holds the revision, its changes, the audit entry
 * and, with an Idempotency-Key, the remembered answer. Live workers are notified afterwards, and the answer does not
 * wait for that.
 */
export async function writeRevision(
  { parts, who, write, address }: Call,
  about: WriteAbout,
  work: (changeSet: ChangeSet) => Promise<Outcome>,
): Promise<WriteResult> {
  const options = {
    ...about,
    seal: parts.seal,
    now: parts.now(),
    id: parts.newId(),
    actor: who.actor,
    address,
    comment: write.comment,
    expected: write.expected,
    dryRun: write.dryRun,
  }
  let answer: WriteResult | undefined
  const watched = async (changeSet: ChangeSet) => {
    const outcome = await work(changeSet)
    return {
      ...outcome,
      warnings: [...new Set([...(outcome.warnings ?? []), ...(await warningsOf(changeSet, parts))])],
    }
  }
  const committed = await commit(parts.control, options, watched, async (queries, result) => {
    answer = await answerOf(result, false)
    if (write.idempotency) await remember(queries, { parts, who, write }, answer)
  })
  if (committed.count > 0 && !write.dryRun) parts.background(sendChangeNotifications(parts, committed.revision))
  return answer ?? answerOf(committed, write.dryRun)
}

async function answerOf(
  { revision, changes, count, result }: Committed<Outcome>,
  dryRun: boolean,
): Promise<WriteResult> {
  return {
    revision,
    ...(dryRun ? { dryRun } : {}),
    ...result.answer,
    changes: count,
    diff: await Promise.all(changes.slice(0, shownChanges).map(diffOf)),
    warnings: result.warnings ?? [],
  }
}

async function remember(
  queries: Queries,
  { parts, who, write }: Pick<Call, 'parts' | 'who' | 'write'>,
  answer: unknown,
): Promise<void> {
  if (!write.idempotency) return
  const { key, requestHash } = write.idempotency
  await rememberAnswer(queries, {
    actor: who.actor,
    key,
    requestHash,
    status: write.status,
    answer: await parts.seal.seal(JSON.stringify(answer), idempotencyPlace(who.actor, key)),
    at: parts.now(),
  })
}

export const idempotencyPlace = (actor: string, key: string): string => `idempotency/${actor}/${key}`

/** Returns a change as the API shows it. */
export async function diffOf({ kind, id, key, before, after }: Change): Promise<RowDiff> {
  return { kind, id, label: key, before: hidden({ kind, id }, before), after: hidden({ kind, id }, after) }
}

function hidden(row: RowName, json: string | null): unknown {
  return json === null ? null : withSecretsHidden(row, JSON.parse(json))
}
