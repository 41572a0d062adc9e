import type { Role } from '@postern/contract/roles.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import type { WriteResult } from '@postern/contract/views.ts'
import type { ChangeSet } from '@postern/store/control/change-set.ts'
import {
  type ApiToken,
  addEnrolToken,
  addToken,
  countOwners,
  deleteEnrolToken,
  deleteToken,
  deleteTokensOf,
  deleteUser,
  listTokens,
  listUsers,
  putUser,
  revokeLoginSessionsOf,
  type User,
  userByEmail,
  userById,
} from '@postern/store/control/identity.ts'
import { headRevision } from '@postern/store/control/revisions.ts'
import type { Queries } from '@postern/store/database.ts'
import { apiTokenPrefix } from '../identity/bearer.ts'
import { afterCursor, iso, type PageQuery, pageOf } from '../pagination.ts'
import { invalid, notFound } from '../problem.ts'
import { randomSecret, sha256 } from '../request.ts'
import { type Call, type Outcome, writeRevision } from '../write-revision.ts'

/**
 * Users and API tokens. They are not rows, so a rollback does not restore them, but each write has a revision number.
 */

export async function readUsers({ parts }: Call, { limit, cursor, q }: PageQuery) {
  const found = await listUsers(parts.control, { limit: limit + 1, after: afterCursor(cursor), q })
  return {
    ...pageOf(found, { limit, key: ({ email }) => email, view: userView }),
    revision: await headRevision(parts.control),
  }
}

export async function readUser({ parts }: Call, id: string) {
  const user = await userById(parts.control, id)
  if (!user) throw notFound(`user ${id}`)
  return userView(user)
}

function userView({ id, email, role, createdAt, lastLoginAt }: User) {
  return {
    id,
    email,
    role,
    createdAt: iso(createdAt),
    ...(lastLoginAt === null ? {} : { lastLoginAt: iso(lastLoginAt) }),
  }
}

/** `work` sets `changeSet.entity` to the name of the user or token. */
function write(call: Call, about: { action: string; kind: string }, work: (changeSet: ChangeSet) => Promise<Outcome>) {
  return writeRevision(call, { ...about, always: true }, work)
}

export function makeUser(
  call: Call,
  { email, role, password }: { email: string; role: Role; password: string },
): Promise<WriteResult> {
  return write(call, { action: 'user.create', kind: 'user' }, async (changeSet) => {
    const { queries } = changeSet
    changeSet.entity = email.toLowerCase()
    if (await userByEmail(queries, email))
      throw invalid([{ path: 'email', message: `email is "${email}", which another user already has` }])
    const passwordHash = await call.parts.passwords.hash(password)
    const user = {
      id: call.parts.newId(),
      email: email.toLowerCase(),
      role,
      passwordHash,
      createdAt: call.parts.now(),
      lastLoginAt: null,
    }
    await putUser(queries, user)
    return { answer: { id: user.id, item: userView(user) } }
  })
}

/**
 * Changes a user. A new password ends the user's sessions. A new role applies to the sessions and API tokens of the
 * user at once. The last owner cannot lose the role.
 */
export function changeUser(
  call: Call,
  id: string,
  patch: { email?: string | undefined; role?: Role | undefined; password?: string | undefined },
): Promise<WriteResult> {
  return write(call, { action: 'user.change', kind: 'user' }, async (changeSet) => {
    const { queries } = changeSet
    const before = await userById(queries, id)
    if (!before) throw notFound(`user ${id}`)
    if (patch.role && patch.role !== 'owner') await keepAnOwner(queries, before)
    const other = patch.email && (await userByEmail(queries, patch.email))
    if (other && other.id !== id)
      throw invalid([{ path: 'email', message: `email is "${patch.email}", which another user already has` }])
    const passwordHash = patch.password ? await call.parts.passwords.hash(patch.password) : before.passwordHash
    const user = { ...before, email: patch.email ?? before.email, role: patch.role ?? before.role, passwordHash }
    changeSet.entity = user.email === before.email ? user.email : `${before.email}, now ${user.email}`
    await putUser(queries, user)
    if (patch.password) await revokeLoginSessionsOf(queries, id, { now: call.parts.now() })
    return { answer: { id, item: userView(user) } }
  })
}

/** Removes a user, with the user's sessions and API tokens. */
export function removeUser(call: Call, id: string): Promise<WriteResult> {
  return write(call, { action: 'user.delete', kind: 'user' }, async (changeSet) => {
    const { queries } = changeSet
    const user = await userById(queries, id)
    if (!user) throw notFound(`user ${id}`)
    changeSet.entity = user.email
    await keepAnOwner(queries, user)
    await revokeLoginSessionsOf(queries, id, { now: call.parts.now() })
    const tokens = await deleteTokensOf(queries, id)
    await deleteUser(queries, id)
    return { warnings: tokens.map((name) => `The API token ${name} of ${user.email} is revoked too.`) }
  })
}

async function keepAnOwner(queries: Queries, { role, email }: User): Promise<void> {
  if (role === 'owner' && (await countOwners(queries)) <= 1)
    throw invalid([{ path: 'role', message: `${email} is the last owner; make another user an owner first` }])
}

export async function readTokens({ parts }: Call, { limit, cursor, q }: PageQuery) {
  const found = await listTokens(parts.control, { limit: limit + 1, after: afterCursor(cursor), q })
  return {
    ...pageOf(found, { limit, key: ({ id }) => id, view: tokenView }),
    revision: await headRevision(parts.control),
  }
}

function tokenView({ id, name, role, createdBy, createdAt, expiresAt, lastUsedAt }: ApiToken) {
  return {
    id,
    name,
    role,
    createdBy,
    createdAt: iso(createdAt),
    ...(expiresAt === null ? {} : { expiresAt: iso(expiresAt) }),
    ...(lastUsedAt === null ? {} : { lastUsedAt: iso(lastUsedAt) }),
  }
}

/** Makes an API token. The answer shows the token only this once. */
export function makeToken(
  call: Call,
  { name, role, expiresAt }: { name: string; role: Role; expiresAt?: string | undefined },
): Promise<WriteResult> {
  return write(call, { action: 'token.create', kind: 'token' }, async (changeSet) => {
    const expiry = futureOf(call, expiresAt)
    const secret = randomSecret(apiTokenPrefix)
    const { parts, who } = call
    const token = {
      id: parts.newId(),
      name,
      role,
      createdBy: who.actor,
      userId: who.type === 'worker' ? null : (who.userId ?? null),
      createdAt: parts.now(),
      expiresAt: expiry,
      lastUsedAt: null,
    }
    changeSet.entity = `${name} (${token.id})`
    await addToken(changeSet.queries, { ...token, hash: await sha256(secret) })
    return { answer: { id: token.id, item: tokenView(token), token: call.write.dryRun ? '' : secret } }
  })
}

export function removeToken(call: Call, id: string): Promise<WriteResult> {
  return write(call, { action: 'token.delete', kind: 'token' }, async (changeSet) => {
    const name = await deleteToken(changeSet.queries, id)
    if (name === undefined) throw notFound(`token ${id}`)
    changeSet.entity = `${name} (${id})`
    return {}
  })
}

/** Makes an enrolment token for one worker, by name and service. The token is shown only once. */
export function makeEnrolToken(
  call: Call,
  { name, service, expiresAt }: { name: string; service: ServiceName; expiresAt?: string | undefined },
): Promise<WriteResult> {
  return write(call, { action: 'enrol-token.create', kind: 'enrol-token' }, async (changeSet) => {
    const expiry = futureOf(call, expiresAt)
    const secret = randomSecret('pse_')
    const { parts, who } = call
    const token = { id: parts.newId(), name, service, createdAt: parts.now(), expiresAt: expiry }
    changeSet.entity = enrolTokenName(token)
    await addEnrolToken(changeSet.queries, { ...token, createdBy: who.actor, hash: await sha256(secret) })
    return { answer: { id: token.id, token: call.write.dryRun ? '' : secret } }
  })
}

export function removeEnrolToken(call: Call, id: string): Promise<WriteResult> {
  return write(call, { action: 'enrol-token.delete', kind: 'enrol-token' }, async (changeSet) => {
    const gone = await deleteEnrolToken(changeSet.queries, id)
    if (!gone) throw notFound(`enrolment token ${id}`)
    changeSet.entity = enrolTokenName({ id, ...gone })
    return {}
  })
}

const enrolTokenName = ({ id, name, service }: { id: string; name: string; service: string }) =>
  `${name} for ${service} (${id})`

function futureOf({ parts }: Call, expiresAt: string | undefined): number | null {
  if (expiresAt === undefined) return null
  const at = Date.parse(expiresAt)
  if (at <= parts.now())
    throw invalid([{ path: 'expiresAt', message: `expiresAt is "${expiresAt}" but must be in the future` }])
  return at
}
