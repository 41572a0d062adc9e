import type { WriteResult } from '@postern/contract/views.ts'
import type { ReactNode } from 'react'
import type { Call } from '../api/client.ts'

/**
 * One way to change anything: the request is tried dry, its diff and its warnings are shown, the administrator says why,
 * and only then it is sent. `null`: it was cancelled. Throws ApiProblem when the API refuses it (422 to map to fields,
 * 412 when somebody was faster).
 */
export type ReviewRequest = {
  title: string
  /** What it does, before the diff. */
  about?: ReactNode
  /** Said aloud above everything. */
  dangers?: readonly string[]
  request: Call & { method: 'POST' | 'PATCH' | 'DELETE' }
  verb?: string
  look?: 'primary' | 'danger'
  /** The API has no dry run for it: ask, without a diff. */
  withoutDiff?: boolean
}

export type Pending = ReviewRequest & { settle: (result: WriteResult | null) => void; refuse: (error: unknown) => void }
