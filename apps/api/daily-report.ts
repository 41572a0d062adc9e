import { commit } from '@postern/store/control/revisions.ts'
import { getRow, getSettings } from '@postern/store/control/rows.ts'
import { bookIntervals, booksTotal } from '@postern/store/records/books.ts'
import { isLive, listWorkers } from '@postern/store/records/workers.ts'
import { sendChangeNotifications } from './change-notifications.ts'
import type { Dependencies } from './dependencies.ts'

/**
 * Orders one report per day about the day before, from 00:05 UTC. The report is an order to one Queue Manager, and its
 * row id contains the date. A transaction creates the row only if it does not exist, so a restart, a second API process
 * or a second worker cannot order another one.
 */

const day = 86_400_000
const minute = 60_000
const after = 5 * minute
const refusals = ['session.refused', 'command.refused', 'message.refused'] as const

/**
 * Does nothing if it is too early, no recipient is set, no Queue Manager is known, or the report was already ordered.
 */
export async function orderDailyReport(parts: Dependencies): Promise<void> {
  const now = parts.now()
  const midnight = now - (now % day)
  if (now < midnight + after) return
  const { dailyReport: to } = await getSettings(parts.control, 'queue')
  if (to === '') return
  const name = new Date(midnight - day).toISOString().slice(0, 10)
  const id = `report-${name}`
  if (await getRow(parts.control, 'order', id)) return
  const worker = await queueManager(parts)
  if (!worker) return
  const text = await textOf(parts, { since: midnight - day, until: midnight, name })
  const report = { messageId: parts.newId(), to, subject: `Daily report for ${name}`, text }
  const about = {
    actor: 'system',
    action: 'report',
    kind: 'order' as const,
    entity: id,
    comment: `daily report for ${name}`,
  }
  const options = { seal: parts.seal, now, id: parts.newId(), ...about }
  const { count, revision } = await commit(parts.control, options, async (changeSet) => {
    if (await changeSet.get('order', id)) return
    const orderedAt = new Date(now).toISOString()
    await changeSet.put('order', id, { action: 'report', worker, report, orderedBy: 'system', orderedAt })
  })
  if (count > 0) await sendChangeNotifications(parts, revision)
}

/** Picks a live Queue Manager, or else the one seen most recently. That one carries out the order when it is back. */
async function queueManager({ records, now }: Dependencies): Promise<string | undefined> {
  const all = (await listWorkers(records)).filter(({ service }) => service === 'queue')
  const live = all.filter((worker) => isLive(worker, now()))
  const [first] =
    live.length > 0 ? live.sort((a, b) => a.id.localeCompare(b.id)) : all.sort((a, b) => b.heartbeatAt - a.heartbeatAt)
  return first?.id
}

async function textOf(
  { records, eventStore }: Dependencies,
  given: { since: number; until: number; name: string },
): Promise<string> {
  const { since, until, name } = given
  const intervals = await bookIntervals(records, { since, until, stepMs: day })
  const sum = (field: 'received' | 'delivered' | 'deferred' | 'bounced' | 'discarded' | 'refused' | 'loginFailures') =>
    intervals.reduce((total, each) => total + each[field], 0)
  const { queued } = await booksTotal(records)
  const refused = await eventStore.top({ since, until, types: refusals, by: 'reason', limit: 1000 })
  const line = (title: string, n: number) => `${title.padEnd(28)} ${String(n).padStart(10)}`
  return [
    `Mail of ${name}, from midnight to midnight UTC. Numbers count recipients, unless stated otherwise.`,
    '',
    line('Received', sum('received')),
    line('Delivered', sum('delivered')),
    line('Deferred (attempts)', sum('deferred')),
    line('Bounced', sum('bounced')),
    line('Discarded', sum('discarded')),
    line('Failed logins', sum('loginFailures')),
    line('Waiting now', queued),
    '',
    // The log may have refusals of a worker that counted them after the day was over.
    line(
      'Refused (replies)',
      Math.max(
        sum('refused'),
        refused.items.reduce((total, { count }) => total + count, 0),
      ),
    ),
    ...refused.items.map(({ value, count }) => line(`  ${value}`, count)),
  ].join('\n')
}
