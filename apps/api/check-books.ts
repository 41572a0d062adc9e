import { booksTotal, isNewBalance, setDuplicates } from '@postern/store/records/books.ts'
import { recordApiEvent } from './api-events.ts'
import type { Dependencies } from './dependencies.ts'
import { balanceOf } from './verbs/books.ts'

/** Alarms about the books: they do not balance, or a recipient got more than one outcome. */

/** The check counts all that waits. */
const checkEveryMs = 30_000
const checked = new WeakMap<Dependencies, number>()

/** Records one event for each new balance other than 0. */
export async function checkBooks(parts: Dependencies): Promise<void> {
  const now = parts.now()
  if (Math.abs(now - (checked.get(parts) ?? 0)) < checkEveryMs) return
  checked.set(parts, now)
  const { duplicates, ...total } = await booksTotal(parts.records)
  const balance = balanceOf(total)
  if (await isNewBalance(parts.records, balance)) await recordApiEvent(parts, 'books.unbalanced', { balance, ...total })
}

/** Of an hour and a worker: recipients that had an outcome from another worker already. */
export type FoundDuplicates = {
  /** Milliseconds: the start of the hour. */
  hour: number
  /** The worker whose outcome was not the first. */
  worker: string
  messages: { messageId: string; recipients: string[] }[]
}

/** Limit of events for an hour. The books count all duplicates. */
const maxToldOf = 10

/** Counts duplicates that were found in the log, and tells of them once. The same hour may be reported again. */
export async function duplicatesFound(parts: Dependencies, found: FoundDuplicates): Promise<void> {
  const { hour, worker, messages } = found
  const duplicates = messages.reduce((sum, { recipients }) => sum + recipients.length, 0)
  const more = await setDuplicates(parts.records, { hour, worker, duplicates })
  if (more <= 0) return
  for (const { messageId, recipients } of messages.slice(0, maxToldOf)) {
    await recordApiEvent(parts, 'delivery.duplicate', {
      messageId,
      recipients: recipients.slice(0, 100),
      worker,
    }).catch((error: unknown) =>
      parts.log.warn({ error: String(error), messageId }, 'a duplicate delivery could not be recorded'),
    )
  }
}
