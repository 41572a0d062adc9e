/** Housekeeping of a process that stays. */
export type Periodic = {
  /** Resolves when a turn in progress has ended; there are no more. */
  stop(): Promise<void>
}

const firstWithinMs = 5_000

/** Runs `work` again and again, `ms` after the turn before has ended; the first time after at most five seconds. */
export function periodically(ms: number, work: () => Promise<unknown>, failed: (error: unknown) => void): Periodic {
  let isStopped = false
  let turn: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  const schedule = (pause: number) => {
    timer = setTimeout(() => {
      turn = work()
        .then(() => {}, failed)
        .finally(() => {
          if (!isStopped) schedule(ms)
        })
    }, pause)
  }
  schedule(Math.min(ms, firstWithinMs))
  return {
    stop: () => {
      isStopped = true
      clearTimeout(timer)
      return turn
    },
  }
}
