import { startWorker } from '@postern/runtime/start.ts'
import { openSmtpService } from './service.ts'

await startWorker({ name: 'smtp', service: (worker) => openSmtpService(worker, process.env), env: process.env })
