import type { queueSummarySchema } from '@postern/contract/views.ts'
import type { z } from 'zod'
import { call } from '../../api/client.ts'

export type QueueSummary = z.infer<typeof queueSummarySchema>

export const queueSummaryQuery = {
  queryKey: ['queue', 'summary'],
  queryFn: () => call<QueueSummary>({ path: '/v1/queue/summary' }),
  refetchInterval: 3000,
}
