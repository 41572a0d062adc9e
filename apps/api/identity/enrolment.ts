import type { ServiceName } from '@postern/contract/services.ts'
import { type EnrolToken, enrolTokenByHash } from '@postern/store/control/identity.ts'
import type { Dependencies } from '../dependencies.ts'

/** The enrolment token behind a worker, when it is valid now and for this worker. Revoking it ends the worker's access at once. */
export async function enrolmentOf(
  { control, now }: Pick<Dependencies, 'control' | 'now'>,
  hash: string,
  worker: { name: string; service: ServiceName },
): Promise<EnrolToken | undefined> {
  const token = await enrolTokenByHash(control, hash)
  if (!token || (token.expiresAt !== null && token.expiresAt <= now())) return undefined
  return isFor(token, worker) ? token : undefined
}

/** A token of the environment serves all workers of a service, or of both: each is called after its own, so that none takes another's place. */
function isFor(token: EnrolToken, { name, service }: { name: string; service: ServiceName }): boolean {
  if (token.service !== 'any' && token.service !== service) return false
  if (token.id.startsWith('environment')) return name === service || name.startsWith(`${service}-`)
  return token.name === name
}
