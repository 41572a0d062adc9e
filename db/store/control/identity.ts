import type { Role } from '@postern/contract/roles.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import { sql } from 'drizzle-orm'
import { contains, type Queries } from '../database.ts'

/** Who may do what: people, their sessions, API tokens, enrolment tokens of workers. Tokens are kept as SHA-256 only. */

export type User = {
  id: string
  email: string
  role: Role
  passwordHash: string
  createdAt: number
  lastLoginAt: number | null
}

const userColumns = sql.raw(
  'id, email, role, password_hash as passwordHash, created_at as createdAt, last_login_at as lastLoginAt',
)

export async function userByEmail(queries: Queries, email: string): Promise<User | undefined> {
  const [user] = await queries.all<User>(sql`select ${userColumns} from users where email = ${email.toLowerCase()}`)
  return user
}

export async function userById(queries: Queries, id: string): Promise<User | undefined> {
  const [user] = await queries.all<User>(sql`select ${userColumns} from users where id = ${id}`)
  return user
}

export type ListPage = { limit: number; after?: string | undefined; q?: string | undefined }

export function listUsers(queries: Queries, { limit, after, q }: ListPage): Promise<User[]> {
  return queries.all<User>(sql`
    select ${userColumns} from users where email > ${after ?? ''} and email like ${contains(q ?? '')} escape '\\'
    order by email limit ${limit}`)
}

export async function countOwners(queries: Queries): Promise<number> {
  const [row] = await queries.all<{ n: number }>(sql`select count(*) as n from users where role = 'owner'`)
  return row?.n ?? 0
}

/** The owner who was made first. */
export async function ownerLongest(queries: Queries): Promise<User | undefined> {
  const [user] = await queries.all<User>(
    sql`select ${userColumns} from users where role = 'owner' order by created_at, id limit 1`,
  )
  return user
}

export async function countUsers(queries: Queries): Promise<number> {
  const [row] = await queries.all<{ n: number }>(sql`select count(*) as n from users`)
  return row?.n ?? 0
}

export async function putUser(queries: Queries, user: User): Promise<void> {
  await queries.run(sql`
    insert into users (id, email, role, password_hash, created_at, last_login_at)
    values (${user.id}, ${user.email.toLowerCase()}, ${user.role}, ${user.passwordHash}, ${user.createdAt}, ${user.lastLoginAt})
    on conflict (id) do update set email = excluded.email, role = excluded.role, password_hash = excluded.password_hash,
      last_login_at = excluded.last_login_at`)
}

/** Of a user who is still there; nothing else is changed. */
export async function touchUser(queries: Queries, id: string, now: number): Promise<void> {
  await queries.run(sql`update users set last_login_at = ${now} where id = ${id}`)
}

export async function deleteUser(queries: Queries, id: string): Promise<void> {
  await queries.run(sql`delete from users where id = ${id}`)
}

export type ApiToken = {
  id: string
  name: string
  role: Role
  createdBy: string
  /** The user it stands for; null: made by a token, before this was kept. */
  userId: string | null
  createdAt: number
  expiresAt: number | null
  lastUsedAt: number | null
}

const tokenColumns = sql.raw(
  'id, name, role, created_by as createdBy, user_id as userId, created_at as createdAt, expires_at as expiresAt, last_used_at as lastUsedAt',
)

/** With the role its user has now. A token whose user is gone is none. */
export async function tokenByHash(
  queries: Queries,
  hash: string,
): Promise<(ApiToken & { userRole: Role | null }) | undefined> {
  const [token] = await queries.all<ApiToken & { userRole: Role | null }>(sql`
    select ${tokenColumns}, (select u.role from users u where u.id = user_id) as userRole
    from api_tokens where hash = ${hash} and (user_id is null or exists (select 1 from users u where u.id = user_id))`)
  return token
}

/** @returns their names */
export async function deleteTokensOf(queries: Queries, userId: string): Promise<string[]> {
  const gone = await queries.all<{ name: string }>(sql`delete from api_tokens where user_id = ${userId} returning name`)
  return gone.map(({ name }) => name)
}

export function listTokens(queries: Queries, { limit, after, q }: ListPage): Promise<ApiToken[]> {
  return queries.all<ApiToken>(sql`
    select ${tokenColumns} from api_tokens where id > ${after ?? ''} and name like ${contains(q ?? '')} escape '\\'
    order by id limit ${limit}`)
}

export async function addToken(queries: Queries, token: ApiToken & { hash: string }): Promise<void> {
  await queries.run(sql`
    insert into api_tokens (id, hash, name, role, created_by, user_id, created_at, expires_at)
    values (${token.id}, ${token.hash}, ${token.name}, ${token.role}, ${token.createdBy}, ${token.userId}, ${token.createdAt}, ${token.expiresAt})`)
}

/** `undefined`: there was none. */
export async function deleteToken(queries: Queries, id: string): Promise<string | undefined> {
  const [gone] = await queries.all<{ name: string }>(sql`delete from api_tokens where id = ${id} returning name`)
  return gone?.name
}

export async function touchToken(queries: Queries, id: string, now: number): Promise<void> {
  await queries.run(sql`update api_tokens set last_used_at = ${now} where id = ${id}`)
}

export type Session = { id: string; userId: string; createdAt: number; expiresAt: number; revokedAt: number | null }

export async function addSession(
  queries: Queries,
  session: Omit<Session, 'revokedAt'> & { address: string | undefined; agent: string | undefined },
  refreshHashes: readonly string[],
): Promise<void> {
  await queries.run(sql`
    insert into sessions (id, user_id, created_at, expires_at, address, seen_at, agent)
    values (${session.id}, ${session.userId}, ${session.createdAt}, ${session.expiresAt}, ${session.address ?? null}, ${session.createdAt}, ${session.agent ?? null})`)
  for (const hash of refreshHashes) await addRefreshToken(queries, session.id, hash)
}

export type SeenSession = Session & { address: string | null; seenAt: number | null; agent: string | null }

/** Sessions of a user that have not ended, newest first: their ids are in order of time. */
export function sessionsOf(
  queries: Queries,
  userId: string,
  { limit, before, now }: { limit: number; before?: string | undefined; now: number },
): Promise<SeenSession[]> {
  return queries.all<SeenSession>(sql`
    select id, user_id as userId, created_at as createdAt, expires_at as expiresAt, revoked_at as revokedAt, address,
      seen_at as seenAt, agent from sessions
    where user_id = ${userId} and revoked_at is null and expires_at > ${now} and id < ${before ?? '~'}
    order by id desc limit ${limit}`)
}

/** The console was seen; an address that cannot be known leaves the one before. */
export async function touchSession(
  queries: Queries,
  id: string,
  { address, now }: { address: string | undefined; now: number },
): Promise<void> {
  await queries.run(
    sql`update sessions set seen_at = ${now}, address = coalesce(${address ?? null}, address) where id = ${id}`,
  )
}

/** Where people work from: addresses of sessions that were seen after `since` and have not ended. */
export async function consoleAddresses(
  queries: Queries,
  { since, now }: { since: number; now: number },
): Promise<string[]> {
  const found = await queries.all<{ address: string }>(sql`
    select distinct address from sessions
    where seen_at > ${since} and revoked_at is null and expires_at > ${now} and address is not null`)
  return found.map(({ address }) => address)
}

export async function addRefreshToken(queries: Queries, sessionId: string, hash: string): Promise<void> {
  await queries.run(sql`insert into refresh_tokens (hash, session_id) values (${hash}, ${sessionId})`)
}

export type RefreshToken = Session & { usedAt: number | null }

export async function refreshTokenByHash(queries: Queries, hash: string): Promise<RefreshToken | undefined> {
  const [token] = await queries.all<RefreshToken>(sql`
    select s.id, s.user_id as userId, s.created_at as createdAt, s.expires_at as expiresAt, s.revoked_at as revokedAt,
      r.used_at as usedAt from refresh_tokens r join sessions s on s.id = r.session_id where r.hash = ${hash}`)
  return token
}

export async function useRefreshToken(queries: Queries, hash: string, now: number): Promise<void> {
  await queries.run(sql`update refresh_tokens set used_at = ${now} where hash = ${hash}`)
}

export async function revokeSession(queries: Queries, id: string, now: number): Promise<void> {
  await queries.run(sql`update sessions set revoked_at = ${now} where id = ${id} and revoked_at is null`)
}

/** `false`: the user has no such session, or it has ended. */
export async function revokeSessionOf(
  queries: Queries,
  userId: string,
  { id, now }: { id: string; now: number },
): Promise<boolean> {
  const ended = await queries.all<{ id: string }>(sql`
    update sessions set revoked_at = ${now} where id = ${id} and user_id = ${userId} and revoked_at is null returning id`)
  return ended.length > 0
}

/** All of a user, but for `except`. */
export async function revokeSessionsOf(
  queries: Queries,
  userId: string,
  { now, except = '' }: { now: number; except?: string },
): Promise<void> {
  await queries.run(
    sql`update sessions set revoked_at = ${now} where user_id = ${userId} and revoked_at is null and id <> ${except}`,
  )
}

/** The user of a live session; `undefined` after logout, revocation or deletion. */
export async function userOfSession(queries: Queries, sessionId: string): Promise<User | undefined> {
  const [user] = await queries.all<User>(sql`
    select ${userColumns} from users where id = (select user_id from sessions where id = ${sessionId} and revoked_at is null)`)
  return user
}

/**
 * `name` is the worker that may use it, and no other may. `any`: the token of the environment, shared by workers of both services;
 * each is called after its service (`smtp-1`).
 */
export type EnrolToken = {
  id: string
  service: ServiceName | 'any'
  name: string
  createdAt: number
  expiresAt: number | null
}

export async function enrolTokenByHash(queries: Queries, hash: string): Promise<EnrolToken | undefined> {
  const [token] = await queries.all<EnrolToken>(sql`
    select id, service, name, created_at as createdAt, expires_at as expiresAt from enrol_tokens where hash = ${hash}`)
  return token
}

export async function addEnrolToken(
  queries: Queries,
  token: EnrolToken & { hash: string; createdBy: string },
): Promise<void> {
  await queries.run(sql`
    insert into enrol_tokens (id, hash, service, name, created_by, created_at, expires_at)
    values (${token.id}, ${token.hash}, ${token.service}, ${token.name}, ${token.createdBy}, ${token.createdAt}, ${token.expiresAt})
    on conflict (hash) do nothing`)
}

export function listEnrolTokens(queries: Queries): Promise<EnrolToken[]> {
  return queries.all<EnrolToken>(sql`
    select id, service, name, created_at as createdAt, expires_at as expiresAt from enrol_tokens order by id limit 1000`)
}

export async function deleteEnrolToken(
  queries: Queries,
  id: string,
): Promise<{ name: string; service: string } | undefined> {
  const [gone] = await queries.all<{ name: string; service: string }>(
    sql`delete from enrol_tokens where id = ${id} returning name, service`,
  )
  return gone
}

export type SigningKey = {
  kid: string
  publicKey: string
  privateKey: string
  createdAt: number
  retiredAt: number | null
}

/** Newest first. */
export function signingKeys(queries: Queries): Promise<SigningKey[]> {
  return queries.all<SigningKey>(sql`
    select kid, public_key as publicKey, private_key as privateKey, created_at as createdAt, retired_at as retiredAt
    from signing_keys order by created_at desc, kid desc`)
}

/** The new key signs from now on; the others only verify until they are dropped. */
export async function addSigningKey(queries: Queries, key: Omit<SigningKey, 'retiredAt'>): Promise<void> {
  await queries.run(sql`update signing_keys set retired_at = ${key.createdAt} where retired_at is null`)
  await queries.run(sql`
    insert into signing_keys (kid, public_key, private_key, created_at) values (${key.kid}, ${key.publicKey}, ${key.privateKey}, ${key.createdAt})`)
}

export type Remembered = { requestHash: string; status: number; answer: string }

export async function rememberedAnswer(queries: Queries, actor: string, key: string): Promise<Remembered | undefined> {
  const [found] = await queries.all<Remembered>(sql`
    select request_hash as requestHash, status, answer from idempotency_keys where actor = ${actor} and key = ${key}`)
  return found
}

export async function rememberAnswer(
  queries: Queries,
  entry: Remembered & { actor: string; key: string; at: number },
): Promise<void> {
  await queries.run(sql`
    insert into idempotency_keys (actor, key, request_hash, status, answer, at)
    values (${entry.actor}, ${entry.key}, ${entry.requestHash}, ${entry.status}, ${entry.answer}, ${entry.at})`)
}

/** Forgets what no longer matters. Times are ages' ends, in milliseconds since the epoch. */
export async function sweepIdentity(queries: Queries, now: number): Promise<void> {
  const day = 86_400_000
  await queries.run(sql`delete from idempotency_keys where at < ${now - day}`)
  await queries.run(sql`delete from login_failures where at < ${now - day}`)
  await queries.run(
    sql`delete from refresh_tokens where session_id in (select id from sessions where expires_at < ${now} or revoked_at < ${now - day})`,
  )
  await queries.run(sql`delete from sessions where expires_at < ${now} or revoked_at < ${now - day}`)
  await queries.run(sql`delete from signing_keys where retired_at < ${now - day}`)
}
