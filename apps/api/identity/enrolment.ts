import type { ServiceName } from '@postern/contract/services.ts'
import { type EnrolToken, enrolTokenByHash, sharedEnrolTokenPrefix } from '@postern/store/control/identity.ts'
import type { Dependencies } from '../dependencies.ts'

/**
 * Returns the worker's enrolment token if it is valid for this worker now. Revoking the token ends the worker's access
 * at once.
 */
export async function enrolmentOf(
  { control, now }: Pick<Dependencies, 'control' | 'now'>,
  hash: string,
  worker: { name: string; service: ServiceName },
): Promise<EnrolToken | undefined> {
  const token = await enrolTokenByHash(control, hash)
  if (!token || (token.expiresAt !== null && token.expiresAt <= now())) return undefined
  return isFor(token, worker) ? token : undefined
}

/**
 * A token from the environment serves all workers of one service or of both. A worker's name must begin with its
 * service, so that no worker takes another's place.
 */
function isFor(token: EnrolToken, { name, service }: { name: string; service: ServiceName }): boolean {
  if (token.service !== 'any' && token.service !== service) return false
  if (token.id.startsWith(sharedEnrolTokenPrefix)) return name === service || name.startsWith(`${service}-`)
  return token.name === name
}
