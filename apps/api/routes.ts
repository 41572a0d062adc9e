import type { Endpoint } from './endpoint.ts'
import type { TokenKeys } from './identity/keys.ts'
import type { Parts } from './parts.ts'
import { sessionRoutes } from './routes/session.ts'
import { settingsRoutes } from './routes/settings.ts'
import { workerRoutes } from './routes/worker.ts'

/** The whole table. Where two rows could match one path, the first wins. */
export function endpoints(parts: Parts, keys: TokenKeys): Endpoint[] {
  return [...sessionRoutes(parts, keys), ...settingsRoutes, ...workerRoutes(keys)]
}
