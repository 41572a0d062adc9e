import { canonicalAddress } from '@postern/contract/network.ts'
import {
  addFailure,
  addRefreshToken,
  addSession,
  failuresSince,
  putUser,
  refreshTokenByHash,
  revokeSession,
  touchSession,
  type User,
  useRefreshToken,
  userByEmail,
  userById,
} from '@postern/store/control/identity.ts'
import { recordAudit } from '@postern/store/control/revisions.ts'
import type { Call } from '../call.ts'
import type { Parts } from '../parts.ts'
import { ProblemError } from '../problem.ts'
import { randomSecret, sha256 } from '../request.ts'
import { audiences, type TokenKeys } from './keys.ts'

const accessSeconds = 900
const sessionMs = 30 * 86_400_000
const windowMs = 15 * 60_000
/** Failed logins within the window: for one name from one address, for one address, for one name from anywhere. */
const limits = { pair: 10, address: 50, email: 200 }

export type Tokens = { accessToken: string; refreshToken: string; expiresIn: number }
export type SessionParts = { keys: TokenKeys; decoy: Promise<string> }

/** Signs in. Unknown name and wrong password are the same answer in the same time. Throws 401, and 429 past the limits. */
export async function signIn(
  { parts, address }: Call,
  { keys, decoy }: SessionParts,
  { email, password }: { email: string; password: string },
): Promise<Tokens> {
  const name = email.toLowerCase()
  const client = address ?? 'unknown'
  await refuseTooMany(parts, name, client)
  const user = await userByEmail(parts.control, name)
  const matches = await parts.passwords.verify(user?.passwordHash ?? (await decoy), password)
  if (!user || !matches) {
    await noteFailure(parts, name, client)
    throw new ProblemError(401, 'The mail address or the password is wrong.')
  }
  const refreshToken = randomSecret('psr_')
  const session = { id: parts.newId(), userId: user.id, createdAt: parts.now(), expiresAt: parts.now() + sessionMs }
  const hash = await sha256(refreshToken)
  await parts.control.transaction(async (queries) => {
    await addSession(queries, { ...session, address: canonical(address) }, hash)
    await putUser(queries, { ...user, lastLoginAt: parts.now() })
    await recordAudit(queries, auditOf(parts, { actor: user.email, action: 'login', entity: client }))
  })
  return { accessToken: await accessToken(keys, user, session.id), refreshToken, expiresIn: accessSeconds }
}

/**
 * Trades a refresh token for new tokens. Each works once: one that comes back was stolen or copied, and ends the whole
 * session. Throws 401.
 */
export async function refresh({ parts, address }: Call, { keys }: SessionParts, refreshToken: string): Promise<Tokens> {
  const hash = await sha256(refreshToken)
  const next = randomSecret('psr_')
  const nextHash = await sha256(next)
  const now = parts.now()
  const outcome = await parts.control.transaction(async (queries) => {
    const found = await refreshTokenByHash(queries, hash)
    if (!found || found.revokedAt !== null || found.expiresAt <= now) return undefined
    const user = await userById(queries, found.userId)
    if (!user || found.usedAt !== null) {
      await revokeSession(queries, found.id, now)
      await recordAudit(
        queries,
        auditOf(parts, { actor: user?.email ?? found.userId, action: 'refresh-token-reused', entity: found.id }),
      )
      return undefined
    }
    await useRefreshToken(queries, hash, now)
    await addRefreshToken(queries, found.id, nextHash)
    await touchSession(queries, found.id, { address: canonical(address), now })
    return { user, sessionId: found.id }
  })
  if (!outcome) throw new ProblemError(401, 'The refresh token is not valid any more; sign in again.')
  return {
    accessToken: await accessToken(keys, outcome.user, outcome.sessionId),
    refreshToken: next,
    expiresIn: accessSeconds,
  }
}

const canonical = (address: string | undefined) => canonicalAddress(address ?? '') ?? undefined

/** Ends the session a refresh token belongs to. An unknown one is no error: it is ended already. */
export async function signOut({ parts }: Call, refreshToken: string): Promise<void> {
  const found = await refreshTokenByHash(parts.control, await sha256(refreshToken))
  if (found) await endSession(parts, found.id, (await userById(parts.control, found.userId))?.email ?? found.userId)
}

export async function endSession(parts: Parts, sessionId: string, actor: string): Promise<void> {
  await parts.control.transaction(async (queries) => {
    await revokeSession(queries, sessionId, parts.now())
    await recordAudit(queries, auditOf(parts, { actor, action: 'logout', entity: sessionId }))
  })
}

function accessToken(keys: TokenKeys, user: User, sessionId: string): Promise<string> {
  return keys.sign({ sub: user.id, sid: sessionId, email: user.email, role: user.role }, audiences.api, accessSeconds)
}

async function refuseTooMany({ control, now }: Parts, email: string, client: string): Promise<void> {
  const since = now() - windowMs
  const [pair, byAddress, byEmail] = await Promise.all([
    failuresSince(control, `pair:${email} ${client}`, since),
    failuresSince(control, `address:${client}`, since),
    failuresSince(control, `email:${email}`, since),
  ])
  if (pair >= limits.pair || byAddress >= limits.address || byEmail >= limits.email)
    throw new ProblemError(429, 'Too many failed logins. Wait a quarter of an hour.', {
      headers: { 'retry-after': '900' },
    })
}

async function noteFailure(parts: Parts, email: string, client: string): Promise<void> {
  const at = parts.now()
  await parts.control.transaction(async (queries) => {
    for (const key of [`pair:${email} ${client}`, `address:${client}`, `email:${email}`])
      await addFailure(queries, { id: parts.newId(), key, at })
    await recordAudit(queries, auditOf(parts, { actor: email.slice(0, 320), action: 'login-failed', entity: client }))
  })
}

function auditOf(parts: Parts, { actor, action, entity }: { actor: string; action: string; entity: string }) {
  return { id: parts.newId(), now: parts.now(), actor, action, kind: 'session', entity }
}
