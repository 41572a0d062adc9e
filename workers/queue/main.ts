import { constants, getPriority, setPriority } from 'node:os'
import { startWorker } from '@postern/runtime/start.ts'
import { queueService } from './service.ts'

/** A client waits for its 250, and nobody waits for a delivery: when the CPU is short, the receiver goes first. */
const belowReceiver = 5
setPriority(Math.min(getPriority() + belowReceiver, constants.priority.PRIORITY_LOW))

const { env } = process
await startWorker({ name: 'queue', env, service: (worker) => queueService(worker, env) })
