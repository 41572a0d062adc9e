import type { WriteResult } from '@postern/contract/views.ts'
import { useQueryClient } from '@tanstack/react-query'
import { createContext, type ReactNode, use, useCallback, useState } from 'react'
import { toast } from 'sonner'
import { followRollout } from '../shell/rollout.ts'
import { ReviewDialog } from './ReviewDialog.tsx'
import type { Pending, ReviewRequest } from './request.ts'

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
