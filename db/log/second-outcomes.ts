import type { HourFiles } from './hours.ts'
import type { LogFiles } from './log-files.ts'

/** Recipients that had an outcome from another worker already, when `worker` recorded one. */
export type SecondOutcomes = { worker: string; messages: { messageId: string; recipients: string[] }[] }

const outcomes = ['delivery.delivered', 'delivery.bounced', 'delivery.discarded']
/** Of an hour. */
const maxRecipients = 100_000

/** Finds recipients with outcomes from more than one worker in an hour, in ms. The first worker by time is not named. */
export async function findSecondOutcomes(
  files: LogFiles,
  hour: number,
  signal?: AbortSignal,
): Promise<SecondOutcomes[]> {
  const period = { since: hour, until: hour + 1 }
  const found: HourFiles[] = (await files.day(hour, period)).hours
  const sql = (source: string) => `
    with ended as (select worker, message_id, unnest(recipient) as recipient, "at", n from (${source})
      where "type" in (${outcomes.map((type) => `'${type}'`).join(', ')})),
    ranked as (select *, first_value(worker) over (partition by message_id, recipient order by "at", worker, n) as first from ended)
    select distinct worker, message_id, recipient from ranked where worker <> first
    order by worker, message_id, recipient limit ${maxRecipients}`
  const rows = await files.query(found, { sql, values: {}, ...(signal ? { signal } : {}) })
  return [...Map.groupBy(rows, ({ worker }) => String(worker))].map(([worker, ofWorker]) => ({
    worker,
    messages: [...Map.groupBy(ofWorker, (row) => String(row.message_id))].map(([messageId, ofMessage]) => ({
      messageId,
      recipients: ofMessage.map(({ recipient }) => String(recipient)),
    })),
  }))
}
