import { canonicalAddress } from '@postern/contract/ip-address.ts'
import {
  addLoginSession,
  addRefreshToken,
  refreshTokenByHash,
  revokeLoginSession,
  touchLoginSession,
  touchUser,
  type User,
  useRefreshToken,
  userByEmail,
  userById,
} from '@postern/store/control/identity.ts'
import { forgetAttempts } from '@postern/store/control/login-attempts.ts'
import { type AuditEntry, recordAudit } from '@postern/store/control/revisions.ts'
import { ProblemError } from '../problem.ts'
import { randomSecret, sha256 } from '../request.ts'
import type { Call } from '../write-revision.ts'
import { countAttempt, countAttemptIn, passwordAttempt, refreshAttempt } from './attempts.ts'
import { cookieTokenPrefix } from './cookie.ts'
import { audiences, type TokenKeys } from './keys.ts'

const accessSeconds = 900
const sessionMs = 30 * 86_400_000
const refreshTokenPrefix = 'psr_'

export type Access = { accessToken: string; expiresIn: number }
export type Tokens = Access & { refreshToken: string }
export type SignInOptions = { keys: TokenKeys; decoy: Promise<string> }

/**
 * Signs a user in. An unknown name and a wrong password get the same answer in the same time. Throws 401, and 429 past
 * the limits.
 */
export async function signIn(
  call: Call,
  { keys, decoy }: SignInOptions,
  { email, password, agent }: { email: string; password: string; agent: string | undefined },
): Promise<Tokens & { cookieToken: string }> {
  const { parts, address } = call
  const name = email.toLowerCase()
  const attempt = await countAttempt(parts, passwordAttempt(name, address))
  const found = await userByEmail(parts.control, name)
  const matches = await parts.passwords.verify(found?.passwordHash ?? (await decoy), password)
  const refreshToken = randomSecret(refreshTokenPrefix)
  const cookieToken = randomSecret(cookieTokenPrefix)
  const hashes = await Promise.all([refreshToken, cookieToken].map(sha256))
  const now = parts.now()
  const client = address ?? 'unknown'
  const session = await parts.control.transaction(async (queries) => {
    // Look the user up again. During the password check the user may have been deleted or the password changed.
    const user = await userByEmail(queries, name)
    if (!matches || !user || user.passwordHash !== found?.passwordHash) {
      await recordAudit(queries, auditOf(call, { actor: name.slice(0, 320), action: 'login-failed', entity: client }))
      return undefined
    }
    const id = parts.newId()
    const times = { createdAt: now, expiresAt: now + sessionMs }
    await forgetAttempts(queries, attempt)
    await addLoginSession(queries, { id, userId: user.id, ...times, address: canonical(address), agent }, hashes)
    await touchUser(queries, user.id, now)
    await recordAudit(queries, auditOf(call, { actor: user.email, action: 'login', entity: client }))
    return { id, user }
  })
  if (!session) throw new ProblemError(401, 'Wrong email address or password.')
  return { ...(await access(keys, session.user, session.id)), refreshToken, cookieToken }
}

/**
 * Exchanges a refresh token for new tokens. Each refresh token works once. A reused one was stolen or copied, and ends
 * the whole session. Throws 401, and 429 past the limit.
 */
export async function refresh(call: Call, { keys }: SignInOptions, refreshToken: string): Promise<Tokens> {
  const { parts, address } = call
  const hash = await sha256(refreshToken)
  const next = randomSecret(refreshTokenPrefix)
  const nextHash = await sha256(next)
  const now = parts.now()
  const outcome = await parts.control.transaction(async (queries) => {
    const attempt = await countAttemptIn(queries, parts, refreshAttempt(address))
    const found = refreshToken.startsWith(refreshTokenPrefix) ? await refreshTokenByHash(queries, hash) : undefined
    if (!found || found.revokedAt !== null || found.expiresAt <= now) return undefined
    const user = await userById(queries, found.userId)
    if (!user || found.usedAt !== null) {
      await revokeLoginSession(queries, found.id, now)
      await recordAudit(
        queries,
        auditOf(call, { actor: user?.email ?? found.userId, action: 'refresh-token-reused', entity: found.id }),
      )
      return undefined
    }
    await forgetAttempts(queries, attempt)
    await useRefreshToken(queries, hash, now)
    await addRefreshToken(queries, found.id, nextHash)
    await touchLoginSession(queries, found.id, { address: canonical(address), now })
    return { user, sessionId: found.id }
  })
  if (!outcome) throw ended()
  return { ...(await access(keys, outcome.user, outcome.sessionId)), refreshToken: next }
}

/**
 * Makes a new access token for the console. Its refresh token stays in the cookie for the life of the session.
 * Otherwise, parallel tabs, or a page closed before the answer arrived, would look like token theft. Throws 401, and
 * 429 past the limit.
 */
export async function refreshByCookie(
  { parts, address }: Call,
  { keys }: SignInOptions,
  token: string,
): Promise<Access> {
  const hash = await sha256(token)
  const now = parts.now()
  const outcome = await parts.control.transaction(async (queries) => {
    const attempt = await countAttemptIn(queries, parts, refreshAttempt(address))
    const found = await refreshTokenByHash(queries, hash)
    const user = found && (await userById(queries, found.userId))
    if (!user || found.revokedAt !== null || found.expiresAt <= now) return undefined
    await forgetAttempts(queries, attempt)
    await touchLoginSession(queries, found.id, { address: canonical(address), now })
    return { user, sessionId: found.id }
  })
  if (!outcome) throw ended()
  return access(keys, outcome.user, outcome.sessionId)
}

const ended = () => new ProblemError(401, 'The refresh token is no longer valid. Sign in again.')

const canonical = (address: string | undefined) => canonicalAddress(address ?? '') ?? undefined

/**
 * Ends the session that a refresh token belongs to. An unknown token is not an error: its session has already ended.
 */
export async function signOut(call: Call, refreshToken: string): Promise<void> {
  const { parts } = call
  const found = await refreshTokenByHash(parts.control, await sha256(refreshToken))
  if (found) await endLoginSession(call, found.id, (await userById(parts.control, found.userId))?.email ?? found.userId)
}

export async function endLoginSession(call: Call, sessionId: string, actor: string): Promise<void> {
  const { parts } = call
  await parts.control.transaction(async (queries) => {
    await revokeLoginSession(queries, sessionId, parts.now())
    await recordAudit(queries, auditOf(call, { actor, action: 'logout', entity: sessionId }))
  })
}

async function access(keys: TokenKeys, user: User, sessionId: string): Promise<Access> {
  const claims = { sub: user.id, sid: sessionId, email: user.email, role: user.role }
  return { accessToken: await keys.sign(claims, audiences.api, accessSeconds), expiresIn: accessSeconds }
}

type Audited = { actor: string; action: string; entity: string }

export function auditOf({ parts, address }: Call, { actor, action, entity }: Audited): AuditEntry {
  return { id: parts.newId(), now: parts.now(), actor, action, kind: 'session', entity, address }
}
