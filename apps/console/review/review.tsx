import type { WriteResult } from '@postern/contract/views.ts'
import { useQueryClient } from '@tanstack/react-query'
import { createContext, type ReactNode, use, useCallback, useState } from 'react'
import { toast } from 'sonner'
import type { Call } from '../api/client.ts'
import { followRollout } from '../shell/rollout.ts'
import { ReviewDialog } from './ReviewDialog.tsx'

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

const Context = createContext<((request: ReviewRequest) => Promise<WriteResult | null>) | null>(null)

export function ReviewProvider({ children }: { children: ReactNode }) {
  const [pending, setPending] = useState<Pending | null>(null)
  const client = useQueryClient()
  const review = useCallback(
    (request: ReviewRequest) =>
      new Promise<WriteResult | null>((resolve, reject) => {
        setPending({
          ...request,
          settle: (result) => {
            setPending(null)
            if (result) {
              toast.success(`Saved as revision ${result.revision}`)
              followRollout(result.revision)
              void client.invalidateQueries()
            }
            resolve(result)
          },
          refuse: (error) => {
            setPending(null)
            reject(error)
          },
        })
      }),
    [client],
  )
  return (
    <Context value={review}>
      {children}
      {pending && <ReviewDialog pending={pending} />}
    </Context>
  )
}

export function useReview() {
  const review = use(Context)
  if (!review) throw new Error('useReview outside of ReviewProvider')
  return review
}
