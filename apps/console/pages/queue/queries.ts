import type { QueueDoctorItem, queueSummarySchema } from '@postern/contract/views.ts'
import type { z } from 'zod'
import { call } from '../../api/client.ts'

export type QueueSummary = z.infer<typeof queueSummarySchema>

export const queueSummaryQuery = {
  queryKey: ['queue', 'summary'],
  queryFn: () => call<QueueSummary>({ path: '/v1/queue/summary' }),
  refetchInterval: 3000,
}

/** Why mail waits. */
export const doctorQuery = {
  queryKey: ['queue', 'doctor'],
  queryFn: () => call<{ items: QueueDoctorItem[] }>({ path: '/v1/queue/doctor' }),
  refetchInterval: 5000,
}
