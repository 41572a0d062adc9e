import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../peers/peer.ts'
import type { Postern } from '../../system/postern.ts'
import type { Kind } from '../round.ts'

/** Changes the machine's clock while mail flows and other mail waits. See clock-preload.ts. */

const hour = 3_600_000
const year = 365 * 24 * hour

/** `NODE_OPTIONS` for a Postern whose clock can be set. */
export const settableClock = `--import ${new URL('../clock-preload.ts', import.meta.url)}`

const ahead = new Map<string, number>()

function setClockBy({ dataDirectory }: Postern, ms: number): void {
  const sum = (ahead.get(dataDirectory) ?? 0) + ms
  ahead.set(dataDirectory, sum)
  writeFileSync(join(dataDirectory, 'test-clock'), String(sum))
}

/** Recipients waiting for their next attempt. `lastN`: only those of messages up to this number. */
function deferred({ dataDirectory }: Postern, lastN = Number.MAX_SAFE_INTEGER): { count: number; lastN: number } {
  const database = new DatabaseSync(join(dataDirectory, 'queue', 'queue.db'), { readOnly: true, timeout: 5_000 })
  const row = database
    .prepare('SELECT count(*) AS count, coalesce(max(n), 0) AS lastN FROM recipients WHERE state = 1 AND n <= ?')
    .get(lastN)
  database.close()
  return row as { count: number; lastN: number }
}

const told = async ({ api }: Postern) =>
  (await api.get<{ items: object[] }>('/v1/events', { type: 'clock.jumped', limit: 200 })).items.length

/** Waiting mail is tried again by itself within its retry time, which is a minute, and nothing bounces. */
function set(name: string, by: number): Kind {
  return {
    name: `clock set ${name}`,
    disturb: async ({ postern, holdUp, letGo }) => {
      await postern.api.patch('/v1/settings/queue', { retryTimerMinutes: 1, retryBackoff: 'constant' })
      const before = await told(postern)
      await holdUp()
      await until('some mail waits', () => deferred(postern).count > 100, { withinMs: 60_000 })
      setClockBy(postern, by)
      await sleep(2_000)
      const { count, lastN } = deferred(postern)
      if (count === 0) throw new Error('everything was tried at once')
      await letGo()
      const tried = () => deferred(postern, lastN).count === 0
      await until('what waited was tried again by itself', tried, { withinMs: 120_000, everyMs: 500 })
      await until('the operator is told', async () => (await told(postern)) > before, { withinMs: 60_000 })
    },
  }
}

export const clocks = [
  set('an hour forward', hour),
  set('an hour back', -hour),
  set('a year forward', year),
  set('a year back', -year),
]
