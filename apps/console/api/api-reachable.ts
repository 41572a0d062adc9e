import { useSyncExternalStore } from 'react'

/** Tracks whether the API is reachable, according to the last request. A refusal also counts as an answer. */

let lostSince: number | null = null
const listeners = new Set<() => void>()

function change(next: number | null): void {
  lostSince = next
  for (const listener of listeners) listener()
}

/**
 * Called for every response. 502 and 504 come from a proxy whose API is down. 503 may come from either, so it is
 * ignored.
 */
export function answered(status: number): void {
  if (status === 502 || status === 504) unanswered()
  else if (status !== 503 && lostSince !== null) change(null)
}

export function unanswered(): void {
  if (lostSince === null) change(Date.now())
}

/** Sends one request without a token. Ignores a failure. */
export async function probe(): Promise<void> {
  try {
    answered((await fetch('/healthz', { cache: 'no-store' })).status)
  } catch {
    // The API is still unreachable.
  }
}

/** Returns the time at which the API was first unreachable, in milliseconds since the epoch, or null while it answers. */
export function useLostSince(): number | null {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => lostSince,
  )
}
