import { serviceNameSchema } from '@postern/contract/services.ts'
import { page, serviceViewSchema, workerViewSchema, writeResultSchema } from '@postern/contract/views.ts'
import { forgetWaiting, waitingIn } from '@postern/store/records/queue-mirror.ts'
import { deleteWorker } from '@postern/store/records/workers.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { pageQuery } from '../pagination.ts'
import { ProblemError } from '../problem.ts'
import { actOnServices, readService, readServices, readWorkers } from '../verbs/services.ts'
import { writeRevision } from '../write-revision.ts'

const action = z.enum(['start', 'stop', 'restart'])
const tag = 'Services'

export const serviceRoutes: Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/services',
    scope: 'viewer',
    tag,
    summary: 'All services with their workers',
    query: pageQuery,
    answer: page(serviceViewSchema),
    handle: async (call) => ({ items: await readServices(call), nextCursor: null }),
  }),
  endpoint({
    method: 'post',
    path: '/v1/services/actions',
    scope: 'operator',
    tag,
    summary: 'Start, stop or restart several services at once',
    body: z.strictObject({ action, services: z.array(serviceNameSchema).min(1).max(10) }),
    write: true,
    answer: writeResultSchema,
    handle: (call, { body }) => actOnServices(call, [...new Set(body.services)], body.action),
  }),
  endpoint({
    method: 'get',
    path: '/v1/services/{name}',
    scope: 'viewer',
    tag,
    summary: 'One service',
    params: z.object({ name: serviceNameSchema }),
    answer: serviceViewSchema,
    handle: (call, { params }) => readService(call, params.name),
  }),
  endpoint({
    method: 'post',
    path: '/v1/services/{name}/{action}',
    scope: 'operator',
    tag,
    summary: 'Start, stop or restart a service',
    params: z.object({ name: serviceNameSchema, action }),
    write: true,
    answer: writeResultSchema,
    handle: (call, { params }) => actOnServices(call, [params.name], params.action),
  }),
  endpoint({
    method: 'get',
    path: '/v1/workers',
    scope: 'viewer',
    tag,
    summary: 'All workers with their revision, lag and state',
    query: pageQuery,
    answer: page(workerViewSchema),
    handle: async ({ parts }) => ({ items: await readWorkers(parts), nextCursor: null }),
  }),
  endpoint({
    method: 'delete',
    path: '/v1/workers/{id}',
    alsoAnswers: { 409: 'The worker is still running, or mail waits in it.' },
    scope: 'admin',
    tag,
    summary: 'Remove a worker that no longer exists',
    params: z.object({ id: z.string().max(100) }),
    query: z.strictObject({ forgetWaiting: z.stringbool().default(false) }),
    write: true,
    answer: writeResultSchema,
    handle: async (call, { params: { id }, query: { forgetWaiting: isForgotten } }) => {
      const worker = (await readWorkers(call.parts)).find((row) => row.id === id)
      if (!worker) throw new ProblemError(404, `There is no worker ${id}.`)
      if (worker.live) throw new ProblemError(409, `${id} is still running; stop it first.`)
      const waiting = await waitingIn(call.parts.records, id)
      if (waiting > 0 && !isForgotten)
        throw new ProblemError(
          409,
          `${waiting} messages wait in ${id}. They stay on its disk. To remove them from the queue here, add forgetWaiting=true.`,
        )
      const about = { action: 'worker.forget', kind: 'worker', entity: id, always: true }
      const result = await writeRevision(call, about, async () => ({}))
      if (call.write.dryRun) return result
      await deleteWorker(call.parts.records, id)
      if (waiting > 0) await forgetWaiting(call.parts.records, id, call.parts.now())
      return result
    },
  }),
]
