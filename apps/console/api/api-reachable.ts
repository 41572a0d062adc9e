import { useSyncExternalStore } from 'react'

/** Whether the API answers, as the last request saw it. An answer that refuses is an answer. */

let lostSince: number | null = null
const listeners = new Set<() => void>()

function change(next: number | null): void {
  lostSince = next
  for (const listener of listeners) listener()
}

/** To be told of every answer. 502 and 504 are a proxy's, for an API that is gone; 503 may be either's and says nothing. */
export function answered(status: number): void {
  if (status === 502 || status === 504) unanswered()
  else if (status !== 503 && lostSince !== null) change(null)
}

export function unanswered(): void {
  if (lostSince === null) change(Date.now())
}

/** Asks once, without a token; says nothing when it fails. */
export async function probe(): Promise<void> {
  try {
    answered((await fetch('/healthz', { cache: 'no-store' })).status)
  } catch {
    // Still away.
  }
}

/** Milliseconds since the epoch when it was first missed, or null while it answers. */
export function useLostSince(): number | null {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => lostSince,
  )
}
