import type { Dependencies } from './dependencies.ts'

/** Wakes requests in this process that wait for new events. Other processes poll. */
const waiting = new WeakMap<Dependencies, Set<() => void>>()

export function signalEvents(parts: Dependencies): void {
  const all = waiting.get(parts)
  if (!all) return
  waiting.delete(parts)
  for (const wake of all) wake()
}

/** Resolves when new events are stored, after `ms`, or when `signal` fires. */
export function untilEvents(parts: Dependencies, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const all = waiting.get(parts) ?? new Set()
    waiting.set(parts, all)
    const wake = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', wake)
      all.delete(wake)
      resolve()
    }
    const timer = setTimeout(wake, ms)
    signal.addEventListener('abort', wake)
    all.add(wake)
  })
}
