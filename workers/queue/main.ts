import { startWorker } from '@postern/runtime/start.ts'
import { queueService } from './service.ts'

const { env } = process
await startWorker({ name: 'queue', env, service: (worker) => queueService(worker, env) })
