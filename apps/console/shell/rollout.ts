import type { WorkerView } from '@postern/contract/views.ts'
import { useSyncExternalStore } from 'react'

/** The newest revision made in this console, and the time since when it is followed. */
export type Following = { revision: number; since: number }

let following: Following | null = null
const listeners = new Set<() => void>()

function change(next: Following | null): void {
  following = next
  for (const listener of listeners) listener()
}

/** Shows the progress of a revision until all workers have it. */
export function followRollout(revision: number): void {
  if (!following || revision >= following.revision) change({ revision, since: Date.now() })
}

export function stopFollowing(): void {
  change(null)
}

export function useFollowing(): Following | null {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => following,
  )
}

export type Rollout = {
  on: number
  of: number
  done: boolean
  /** Workers that refused the revision. Their last good policy stays in force. */
  refused: { id: string; error: string; inForce: number }[]
  /** Workers that do not report. They will catch up when they return. */
  silent: string[]
  behind: string[]
}

/** Returns the progress of a revision. A worker with a later revision also has this one. */
export function rolloutOf(revision: number, workers: readonly WorkerView[]): Rollout {
  const live = workers.filter((worker) => worker.live)
  const behind = live.filter((worker) => worker.revision < revision || worker.otherHistory)
  const refused = behind.filter((worker) => worker.refused && worker.refused.revision >= revision)
  return {
    on: live.length - behind.length,
    of: live.length,
    done: live.length > 0 && behind.length === 0,
    refused: refused.map((worker) => ({ id: worker.id, error: worker.refused?.error ?? '', inForce: worker.revision })),
    silent: workers.filter((worker) => !worker.live).map((worker) => worker.id),
    behind: behind.filter((worker) => !refused.includes(worker)).map((worker) => worker.id),
  }
}
