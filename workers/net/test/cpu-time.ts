/** The kernel counts CPU time in steps of some milliseconds; it is measured over this many microseconds. */
const measuredMicroseconds = 100_000

/**
 * The mean CPU time of a run on this thread, in microseconds. Other work on the machine does not count. `run` is called
 * until that can be told.
 */
export function cpuTime(run: () => unknown): number {
  run()
  const before = process.threadCpuUsage()
  for (let runs = 1; ; runs++) {
    run()
    const { user, system } = process.threadCpuUsage(before)
    if (user + system >= measuredMicroseconds) return (user + system) / runs
  }
}

/** How often the CPU time of `size` fits into that of 8 × `size`: about 8 if it is linear, 64 if it is quadratic. */
export function growth(size: number, run: (size: number) => unknown): number {
  const small = cpuTime(() => run(size))
  return cpuTime(() => run(8 * size)) / small
}

/** Above this, time is not linear. */
export const superlinear = 24
