import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * For tests: `NODE_OPTIONS="--import …/test/faults/clock-preload.ts"` lets the clock of a process and all its threads
 * be changed at run time. `Date` is ahead by the number of milliseconds in the file `test-clock` in POSTERN_DATA_DIR.
 * Monotonic time (`performance`, timers) is unchanged, as when a machine's clock is set. Nothing in Postern knows of
 * it.
 */

const file = join(process.env.POSTERN_DATA_DIR ?? '.', 'test-clock')
const lookEveryMs = 50

let ahead = 0
function look(): void {
  try {
    ahead = Number(readFileSync(file, 'latin1')) || 0
  } catch {
    // The file does not exist yet.
  }
}
look()
setInterval(look, lookEveryMs).unref()

const RealDate = Date

function now(): number {
  return RealDate.now() + ahead
}

globalThis.Date = new Proxy(RealDate, {
  construct: (target, given, as) => Reflect.construct(target, given.length === 0 ? [now()] : given, as),
  apply: () => new RealDate(now()).toString(),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
})
