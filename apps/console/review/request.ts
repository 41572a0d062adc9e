import type { WriteResult } from '@postern/contract/views.ts'
import type { ReactNode } from 'react'
import type { Call } from '../api/client.ts'

/**
 * The way to change anything: the request runs as a dry run, its diff and its warnings are shown, the administrator
 * enters a reason, and only then is it sent. `null`: it was cancelled. Throws ApiProblem if the API refuses it (422 to
 * map to fields, 412 if another user saved first).
 */
export type ReviewRequest = {
  title: string
  /** A description of the change, shown before the diff. */
  about?: ReactNode
  /** Warnings shown above everything else. */
  dangers?: readonly string[]
  request: Call & { method: 'POST' | 'PATCH' | 'DELETE' }
  verb?: string
  look?: 'primary' | 'danger'
  /** The API has no dry run for this request: ask for confirmation without a diff. */
  withoutDiff?: boolean
}

export type Pending = ReviewRequest & { settle: (result: WriteResult | null) => void; refuse: (error: unknown) => void }
