import type { Dependencies } from './dependencies.ts'
import type { Endpoint } from './endpoint.ts'
import type { TokenKeys } from './identity/keys.ts'
import { accountRoutes } from './routes/account.ts'
import { certificateRoutes } from './routes/certificates.ts'
import { directoryRoutes } from './routes/directory.ts'
import { documentRoutes } from './routes/document.ts'
import { historyRoutes } from './routes/history.ts'
import { listRoutes } from './routes/lists.ts'
import { eventRoutes, queueRoutes } from './routes/records.ts'
import { serviceRoutes } from './routes/services.ts'
import { signInRoutes } from './routes/session.ts'
import { settingsRoutes } from './routes/settings.ts'
import { simulateRoutes } from './routes/simulate.ts'
import { systemRoutes } from './routes/system.ts'
import { peopleRoutes } from './routes/users.ts'
import { workerRoutes } from './routes/worker.ts'

/** The whole table. If two rows match one path, the first one wins. */
export function endpoints(parts: Dependencies, keys: TokenKeys): Endpoint[] {
  return [
    ...signInRoutes(parts, keys),
    ...accountRoutes,
    ...peopleRoutes(keys),
    ...serviceRoutes,
    ...settingsRoutes,
    ...listRoutes,
    ...directoryRoutes,
    ...certificateRoutes,
    ...historyRoutes,
    ...documentRoutes,
    ...simulateRoutes,
    ...queueRoutes,
    ...eventRoutes,
    ...systemRoutes,
    ...workerRoutes(keys),
  ]
}
