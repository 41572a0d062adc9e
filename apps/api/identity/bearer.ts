import { roleAtLeast } from '@postern/contract/roles.ts'
import { serviceNameSchema } from '@postern/contract/services.ts'
import { tokenByHash, touchToken, userOfLoginSession } from '@postern/store/control/identity.ts'
import type { Dependencies, Identity } from '../dependencies.ts'
import { ProblemError } from '../problem.ts'
import { sha256 } from '../request.ts'
import { enrolmentOf } from './enrolment.ts'
import { audiences, type TokenKeys } from './keys.ts'

export const apiTokenPrefix = 'pst_'
const touchEveryMs = 60_000

/**
 * Identifies the caller from `Authorization: Bearer …`. A user's session and role are read on every request, so a
 * logout, a deletion or a new role takes effect at once and not when the token expires. The same holds when a worker's
 * enrolment token is revoked. Throws 401.
 */
export async function identify(parts: Dependencies, keys: TokenKeys, header: string | undefined): Promise<Identity> {
  const token = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1]
  if (!token) throw unauthorized('Sign in first: send Authorization: Bearer with an access token or an API token.')
  return token.startsWith(apiTokenPrefix) ? byApiToken(parts, token) : byJwt(parts, keys, token)
}

const unauthorized = (detail: string) => new ProblemError(401, detail)

async function byApiToken(parts: Dependencies, token: string): Promise<Identity> {
  const found = await tokenByHash(parts.control, await sha256(token))
  const now = parts.now()
  if (!found || (found.expiresAt !== null && found.expiresAt <= now))
    throw unauthorized('The API token is not valid or has expired.')
  if (now - (found.lastUsedAt ?? 0) > touchEveryMs) parts.background(touchToken(parts.control, found.id, now))
  const { role, userRole, userId } = found
  return {
    type: 'token',
    actor: `token:${found.name}`,
    // A token never has more rights than its user. When the user loses a role, the user's tokens lose it too.
    role: userRole && !roleAtLeast(userRole, role) ? userRole : role,
    tokenId: found.id,
    userId: userId ?? undefined,
    expiresAt: found.expiresAt ?? undefined,
  }
}

async function byJwt(parts: Dependencies, keys: TokenKeys, token: string): Promise<Identity> {
  const claims = await keys.verify(token, [audiences.api, audiences.worker])
  const expiresAt = Number(claims.exp) * 1000
  if (claims.aud === audiences.worker) {
    const workerId = String(claims.sub)
    const service = serviceNameSchema.parse(claims.service)
    if (!(await enrolmentOf(parts, String(claims.enrolment), { name: workerId, service })))
      throw unauthorized(`The enrolment of ${workerId} was revoked or has expired.`)
    return { type: 'worker', actor: `worker:${workerId}`, workerId, service, expiresAt }
  }
  const user = await userOfLoginSession(parts.control, String(claims.sid))
  if (!user) throw unauthorized('The session has ended. Sign in again.')
  return { type: 'user', actor: user.email, role: user.role, userId: user.id, sessionId: String(claims.sid), expiresAt }
}
