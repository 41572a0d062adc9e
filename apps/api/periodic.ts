/** A periodic task of a long-running process. */
export type Periodic = {
  /** Stops the task. Resolves when a run in progress has ended. */
  stop(): Promise<void>
}

const firstWithinMs = 5_000

/** Runs `work` repeatedly, `ms` after the previous run ended. The first run starts within five seconds. */
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
