import { type SweepReport, systemHistoryDays } from '@postern/contract/schedule.ts'
import { sweepIdentity } from '@postern/store/control/identity.ts'
import { dropOldOffences } from '@postern/store/control/offences.ts'
import { dropOldAudit, dropOldHistory } from '@postern/store/control/retention.ts'
import { commit, keptNear } from '@postern/store/control/revisions.ts'
import { expiredRows, getSettings, oldOrders } from '@postern/store/control/rows.ts'
import { yieldToEventLoop } from '@postern/store/database.ts'
import { dropOldFacts } from '@postern/store/records/facts.ts'
import { oldestWaiting } from '@postern/store/records/queue.ts'
import { dropOldWorkerRequests } from '@postern/store/records/worker-requests.ts'
import { isLive, listWorkers } from '@postern/store/records/workers.ts'
import { resendChangeNotifications, sendChangeNotifications } from './change-notifications.ts'
import { checkBooks, duplicatesFound } from './check-books.ts'
import { orderDailyReport } from './daily-report.ts'
import type { Dependencies } from './dependencies.ts'
import type { TokenKeys } from './identity/keys.ts'
import { dropOldChunks } from './message-chunks.ts'

/** Periodic tasks. Each may run twice, or in two processes at once, without harm. */

const batch = 500
const day = 86_400_000
const signingKeyAge = 30 * day
/** Limits one run. The next run continues. */
const maxPieces = 300

/**
 * Runs every few seconds, or from the scheduler. Sends missed notifications, removes expired entries, old orders and
 * old offences, orders the daily report, and checks the books.
 */
export async function sweep(parts: Dependencies): Promise<{ resent: number }> {
  const resent = await resendChangeNotifications(parts)
  await dropExpired(parts)
  await orderDailyReport(parts)
  await checkBooks(parts)
  while ((await dropOldOffences(parts.control, parts.now(), 5_000)) === 5_000) await yieldToEventLoop()
  return { resent }
}

/** Runs a sweep and returns numbers for alarms. */
export async function sweepAndReport(parts: Dependencies): Promise<SweepReport> {
  const { resent } = await sweep(parts)
  const now = parts.now()
  const live = (await listWorkers(parts.records)).filter((worker) => isLive(worker, now))
  const furthest = Math.min(...live.map(({ report }) => report?.revision ?? 0))
  const missing = live.length > 0 ? await keptNear(parts.control, furthest) : undefined
  const oldest = await oldestWaiting(parts.records)
  const secondsSince = (at: number | undefined) => (at === undefined ? 0 : Math.max(0, (now - at) / 1000))
  return {
    resent,
    liveWorkers: live.length,
    lagSeconds: secondsSince(missing?.laterAt ?? undefined),
    oldestWaitingSeconds: secondsSince(oldest),
  }
}

/**
 * Removes expired list entries, and orders older than a day, in separate revisions. Rows made by the system and rows
 * made by people get different revisions, because the history of the latter is kept.
 */
async function dropExpired(parts: Dependencies): Promise<void> {
  for (;;) {
    const now = parts.now()
    const expired = await expiredRows(parts.control, now, batch)
    const orders = await oldOrders(parts.control, new Date(now - day).toISOString(), batch)
    const gone = [...expired, ...orders]
    if (gone.length === 0) return
    const comment = expired.length > 0 ? 'expired entries removed' : 'old orders removed'
    for (const rows of Map.groupBy(gone, ({ isAutomatic }) => isAutomatic).values()) {
      const options = { seal: parts.seal, now, id: parts.newId(), actor: 'system', action: 'sweep', comment }
      const { revision } = await commit(parts.control, options, async (changeSet) => {
        for (const { kind, id } of rows) await changeSet.remove(kind, id)
      })
      await sendChangeNotifications(parts, revision)
      await yieldToEventLoop()
    }
  }
}

async function dropSystemHistory({ control, now }: Dependencies): Promise<void> {
  const before = now() - systemHistoryDays * day
  let revision: number | undefined = 0
  for (let pieces = 0; revision !== undefined && pieces < maxPieces; pieces++) {
    revision = (await dropOldHistory(control, { before, after: revision })).after
    await yieldToEventLoop()
  }
  let entry: string | undefined = ''
  for (let pieces = 0; entry !== undefined && pieces < maxPieces; pieces++) {
    entry = (await dropOldAudit(control, { before, after: entry })).after
    await yieldToEventLoop()
  }
}

/** How far back the frequent runs look. Only the retention looks at every day: each one costs a request to a bucket. */
const recent = 26 * 3_600_000

/** Runs every minute, or from the scheduler. Merges the small files of the log, so that a search opens few. */
export async function mergeLog({ eventStore, now }: Dependencies, signal?: AbortSignal): Promise<void> {
  await eventStore.merge({ since: now() - recent, signal })
}

/** Runs every minute, or every five from the scheduler. Makes each hour of the log that has ended one file. */
export async function compactLog(parts: Dependencies, signal?: AbortSignal): Promise<void> {
  await compactHours(parts, { since: parts.now() - recent }, signal)
}

/** An hour that is over is also searched for recipients that got a second outcome. */
async function compactHours(
  parts: Dependencies,
  period: { since?: number; until?: number },
  signal?: AbortSignal,
): Promise<void> {
  const { hours } = await parts.eventStore.compact(period, signal)
  for (const hour of hours)
    for (const found of await parts.eventStore.secondOutcomes(hour, signal))
      await duplicatesFound(parts, { hour, ...found })
}

/**
 * Runs at least once a day. Removes events older than `logging.retentionDays` and stale sessions, rotates an old signing
 * key, and compacts old hours whose events came late.
 */
export async function applyRetention(parts: Dependencies, keys: TokenKeys, signal?: AbortSignal): Promise<void> {
  const { retentionDays } = await getSettings(parts.control, 'logging')
  const before = parts.now() - retentionDays * day
  const removed = await parts.eventStore.removeBefore(before, parts.eventStore.archive)
  if (removed.files > 0) parts.log.info(removed, 'old days of the log were removed')
  while ((await dropOldFacts(parts.records, before, batch)) > 0) await yieldToEventLoop()
  await dropSystemHistory(parts)
  await dropOldWorkerRequests(parts.records, parts.now() - day)
  await dropOldChunks(parts, parts.now() - day)
  await parts.control.transaction((queries) => sweepIdentity(queries, parts.now()))
  // A key from the future was made before the clock was set back.
  if (Math.abs(await keys.age()) > signingKeyAge) await keys.rotate()
  const late = { until: parts.now() - recent }
  await parts.eventStore.merge({ ...late, signal })
  await compactHours(parts, late, signal)
}
