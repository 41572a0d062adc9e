import type { Role } from '@postern/contract/roles.ts'
import { and, asc, desc, eq, getTableColumns, gt, inArray, isNotNull, isNull, like, lt, ne, or } from 'drizzle-orm'
import { includes, type Queries } from '../database.ts'
import {
  apiTokens,
  enrolTokens,
  idempotencyKeys,
  loginFailures,
  refreshTokens,
  sessions,
  signingKeys,
  users,
} from './tables.ts'

/**
 * Identities and permissions: users, their sessions, API tokens, and enrolment tokens of workers. Tokens are stored
 * only as SHA-256.
 */

export type User = typeof users.$inferSelect

export function userByEmail(queries: Queries, email: string): Promise<User | undefined> {
  return queries.select().from(users).where(eq(users.email, email.toLowerCase())).get()
}

export function userById(queries: Queries, id: string): Promise<User | undefined> {
  return queries.select().from(users).where(eq(users.id, id)).get()
}

export type ListPage = { limit: number; after?: string | undefined; q?: string | undefined }

export function listUsers(queries: Queries, { limit, after, q }: ListPage): Promise<User[]> {
  return queries
    .select()
    .from(users)
    .where(and(gt(users.email, after ?? ''), includes(users.email, q ?? '')))
    .orderBy(asc(users.email))
    .limit(limit)
    .all()
}

export function countOwners(queries: Queries): Promise<number> {
  return queries.$count(users, eq(users.role, 'owner'))
}

/** Returns the owner who was created first. */
export function ownerLongest(queries: Queries): Promise<User | undefined> {
  return queries
    .select()
    .from(users)
    .where(eq(users.role, 'owner'))
    .orderBy(asc(users.createdAt), asc(users.id))
    .limit(1)
    .get()
}

export function countUsers(queries: Queries): Promise<number> {
  return queries.$count(users)
}

export async function putUser(queries: Queries, user: User): Promise<void> {
  const { id, createdAt, ...given } = user
  const changing = { ...given, email: user.email.toLowerCase() }
  await queries
    .insert(users)
    .values({ id, createdAt, ...changing })
    .onConflictDoUpdate({ target: users.id, set: changing })
}

/** Updates the time of the last login, if the user still exists. Changes nothing else. */
export async function touchUser(queries: Queries, id: string, now: number): Promise<void> {
  await queries.update(users).set({ lastLoginAt: now }).where(eq(users.id, id))
}

export async function deleteUser(queries: Queries, id: string): Promise<void> {
  await queries.delete(users).where(eq(users.id, id))
}

/** `userId`: the user that the token acts for. Null: created with a token before this was recorded. */
export type ApiToken = Omit<typeof apiTokens.$inferSelect, 'hash'>

const { hash: _, ...tokenColumns } = getTableColumns(apiTokens)

/** Returns the token with its user's current role. A token without a user is invalid. */
export function tokenByHash(
  queries: Queries,
  hash: string,
): Promise<(ApiToken & { userRole: Role | null }) | undefined> {
  return queries
    .select({ ...tokenColumns, userRole: users.role })
    .from(apiTokens)
    .leftJoin(users, eq(users.id, apiTokens.userId))
    .where(and(eq(apiTokens.hash, hash), or(isNull(apiTokens.userId), isNotNull(users.id))))
    .get()
}

/** @returns the names of the deleted tokens */
export async function deleteTokensOf(queries: Queries, userId: string): Promise<string[]> {
  const gone = await queries.delete(apiTokens).where(eq(apiTokens.userId, userId)).returning({ name: apiTokens.name })
  return gone.map(({ name }) => name)
}

export function listTokens(queries: Queries, { limit, after, q }: ListPage): Promise<ApiToken[]> {
  return queries
    .select(tokenColumns)
    .from(apiTokens)
    .where(and(gt(apiTokens.id, after ?? ''), includes(apiTokens.name, q ?? '')))
    .orderBy(asc(apiTokens.id))
    .limit(limit)
    .all()
}

export async function addToken(queries: Queries, token: ApiToken & { hash: string }): Promise<void> {
  await queries.insert(apiTokens).values(token)
}

/** Deletes a token. Returns `undefined` if there was none. */
export async function deleteToken(queries: Queries, id: string): Promise<string | undefined> {
  const [gone] = await queries.delete(apiTokens).where(eq(apiTokens.id, id)).returning({ name: apiTokens.name })
  return gone?.name
}

export async function touchToken(queries: Queries, id: string, now: number): Promise<void> {
  await queries.update(apiTokens).set({ lastUsedAt: now }).where(eq(apiTokens.id, id))
}

export type SeenLoginSession = typeof sessions.$inferSelect
export type LoginSession = Omit<SeenLoginSession, 'address' | 'seenAt' | 'agent'>

export async function addLoginSession(
  queries: Queries,
  session: Omit<LoginSession, 'revokedAt'> & { address: string | undefined; agent: string | undefined },
  refreshHashes: readonly string[],
): Promise<void> {
  await queries.insert(sessions).values({ ...session, seenAt: session.createdAt })
  for (const hash of refreshHashes) await addRefreshToken(queries, session.id, hash)
}

/** Returns the active sessions of a user, newest first. Session ids are in order of time. */
export function sessionsOf(
  queries: Queries,
  userId: string,
  { limit, before, now }: { limit: number; before?: string | undefined; now: number },
): Promise<SeenLoginSession[]> {
  return queries
    .select()
    .from(sessions)
    .where(and(eq(sessions.userId, userId), isLive(now), lt(sessions.id, before ?? '~')))
    .orderBy(desc(sessions.id))
    .limit(limit)
    .all()
}

/** Records that the console was seen. If the address is unknown, the previous one stays. */
export async function touchLoginSession(
  queries: Queries,
  id: string,
  { address, now }: { address: string | undefined; now: number },
): Promise<void> {
  await queries.update(sessions).set({ seenAt: now, address }).where(eq(sessions.id, id))
}

/** Returns the addresses of active sessions that were seen after `since`. */
export async function consoleAddresses(
  queries: Queries,
  { since, now }: { since: number; now: number },
): Promise<string[]> {
  const found = await queries
    .selectDistinct({ address: sessions.address })
    .from(sessions)
    .where(and(gt(sessions.seenAt, since), isLive(now), isNotNull(sessions.address)))
    .all()
  return found.flatMap(({ address }) => address ?? [])
}

export async function addRefreshToken(queries: Queries, sessionId: string, hash: string): Promise<void> {
  await queries.insert(refreshTokens).values({ hash, sessionId })
}

export type RefreshToken = LoginSession & { usedAt: number | null }

export function refreshTokenByHash(queries: Queries, hash: string): Promise<RefreshToken | undefined> {
  const { id, userId, createdAt, expiresAt, revokedAt } = sessions
  return queries
    .select({ id, userId, createdAt, expiresAt, revokedAt, usedAt: refreshTokens.usedAt })
    .from(refreshTokens)
    .innerJoin(sessions, eq(sessions.id, refreshTokens.sessionId))
    .where(eq(refreshTokens.hash, hash))
    .get()
}

export async function useRefreshToken(queries: Queries, hash: string, now: number): Promise<void> {
  await queries.update(refreshTokens).set({ usedAt: now }).where(eq(refreshTokens.hash, hash))
}

export async function revokeLoginSession(queries: Queries, id: string, now: number): Promise<void> {
  await queries
    .update(sessions)
    .set({ revokedAt: now })
    .where(and(eq(sessions.id, id), isNull(sessions.revokedAt)))
}

/** Revokes a session of a user. Returns `false` if there is no such session, or if it has ended. */
export async function revokeLoginSessionOf(
  queries: Queries,
  userId: string,
  { id, now }: { id: string; now: number },
): Promise<boolean> {
  const ended = await queries
    .update(sessions)
    .set({ revokedAt: now })
    .where(and(eq(sessions.id, id), eq(sessions.userId, userId), isNull(sessions.revokedAt)))
    .returning({ id: sessions.id })
  return ended.length > 0
}

/** Revokes all sessions of a user except `except`. */
export async function revokeLoginSessionsOf(
  queries: Queries,
  userId: string,
  { now, except = '' }: { now: number; except?: string },
): Promise<void> {
  await queries
    .update(sessions)
    .set({ revokedAt: now })
    .where(and(eq(sessions.userId, userId), isNull(sessions.revokedAt), ne(sessions.id, except)))
}

/** Returns the user of an active session; `undefined` after logout, revocation or deletion. */
export function userOfLoginSession(queries: Queries, sessionId: string): Promise<User | undefined> {
  return queries
    .select(getTableColumns(users))
    .from(users)
    .innerJoin(sessions, eq(sessions.userId, users.id))
    .where(and(eq(sessions.id, sessionId), isNull(sessions.revokedAt)))
    .get()
}

/**
 * `name`: the only worker that may use the token. `any`: the token from the environment, which workers of both services
 * share. Each is then named after its service (`smtp-1`).
 */
export type EnrolToken = Omit<typeof enrolTokens.$inferSelect, 'hash' | 'createdBy'>

const { hash: _hash, createdBy: _createdBy, ...enrolTokenColumns } = getTableColumns(enrolTokens)

export function enrolTokenByHash(queries: Queries, hash: string): Promise<EnrolToken | undefined> {
  return queries.select(enrolTokenColumns).from(enrolTokens).where(eq(enrolTokens.hash, hash)).get()
}

export async function addEnrolToken(
  queries: Queries,
  token: EnrolToken & { hash: string; createdBy: string },
): Promise<void> {
  await queries.insert(enrolTokens).values(token).onConflictDoNothing({ target: enrolTokens.hash })
}

/** Tokens from the environment have ids with this prefix. */
export const sharedEnrolTokenPrefix = 'environment'

/** Returns the tokens from the environment. */
export function sharedEnrolTokens(queries: Queries): Promise<{ id: string; hash: string }[]> {
  const { id, hash } = enrolTokens
  return queries
    .select({ id, hash })
    .from(enrolTokens)
    .where(like(id, `${sharedEnrolTokenPrefix}%`))
    .all()
}

export function listEnrolTokens(queries: Queries): Promise<EnrolToken[]> {
  return queries.select(enrolTokenColumns).from(enrolTokens).orderBy(asc(enrolTokens.id)).limit(1000).all()
}

export async function deleteEnrolToken(
  queries: Queries,
  id: string,
): Promise<Pick<EnrolToken, 'name' | 'service'> | undefined> {
  const { name, service } = enrolTokens
  const [gone] = await queries.delete(enrolTokens).where(eq(enrolTokens.id, id)).returning({ name, service })
  return gone
}

export type SigningKey = typeof signingKeys.$inferSelect

/** Returns the signing keys, newest first. */
export function listSigningKeys(queries: Queries): Promise<SigningKey[]> {
  return queries.select().from(signingKeys).orderBy(desc(signingKeys.createdAt), desc(signingKeys.kid)).all()
}

/** Adds a key that signs from now on. The other keys only verify until they are dropped. */
export async function addSigningKey(queries: Queries, key: Omit<SigningKey, 'retiredAt'>): Promise<void> {
  await queries.update(signingKeys).set({ retiredAt: key.createdAt }).where(isNull(signingKeys.retiredAt))
  await queries.insert(signingKeys).values(key)
}

export type Remembered = Pick<typeof idempotencyKeys.$inferSelect, 'requestHash' | 'status' | 'answer'>

export function rememberedAnswer(queries: Queries, actor: string, key: string): Promise<Remembered | undefined> {
  const { requestHash, status, answer } = idempotencyKeys
  return queries
    .select({ requestHash, status, answer })
    .from(idempotencyKeys)
    .where(and(eq(idempotencyKeys.actor, actor), eq(idempotencyKeys.key, key)))
    .get()
}

export async function rememberAnswer(queries: Queries, entry: typeof idempotencyKeys.$inferInsert): Promise<void> {
  await queries.insert(idempotencyKeys).values(entry)
}

/** Removes expired data. `now` is in milliseconds since the epoch. */
export async function sweepIdentity(queries: Queries, now: number): Promise<void> {
  const day = 86_400_000
  const yesterday = now - day
  const over = or(lt(sessions.expiresAt, now), lt(sessions.revokedAt, yesterday))
  await queries.delete(idempotencyKeys).where(lt(idempotencyKeys.at, yesterday))
  await queries.delete(loginFailures).where(lt(loginFailures.at, yesterday))
  const ended = queries.select({ id: sessions.id }).from(sessions).where(over)
  await queries.delete(refreshTokens).where(inArray(refreshTokens.sessionId, ended))
  await queries.delete(sessions).where(over)
  await queries.delete(signingKeys).where(lt(signingKeys.retiredAt, yesterday))
}

/** Matches sessions that have neither ended nor been revoked. */
const isLive = (now: number) => and(isNull(sessions.revokedAt), gt(sessions.expiresAt, now))
