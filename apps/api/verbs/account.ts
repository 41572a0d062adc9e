import type { LoginSessionView, Page, WriteResult } from '@postern/contract/views.ts'
import {
  putUser,
  revokeLoginSessionOf,
  revokeLoginSessionsOf,
  type SeenLoginSession,
  sessionsOf,
  userById,
} from '@postern/store/control/identity.ts'
import { forgetAttempts } from '@postern/store/control/login-attempts.ts'
import { recordAudit } from '@postern/store/control/revisions.ts'
import type { Identity } from '../dependencies.ts'
import { countAttempt, passwordAttempt } from '../identity/attempts.ts'
import { auditOf } from '../identity/sessions.ts'
import { afterCursor, iso, type PageQuery, pageOf } from '../pagination.ts'
import { invalid, notFound, ProblemError } from '../problem.ts'
import { type Call, writeRevision } from '../write-revision.ts'

/** What people do with their own account, whatever their role. An API token has no account: an owner changes it. */

/** Returns the signed-in user. The adapter has already checked the scope. */
function personOf({ who }: Call): Extract<Identity, { type: 'user' }> {
  if (who.type !== 'user') throw new ProblemError(403, 'Only a signed-in user may do this, not an API token.')
  return who
}

/**
 * Changes the password and ends all other sessions of the user. Throws 422 for a wrong password and 429 past the
 * attempt limits.
 */
export async function changeOwnPassword(
  call: Call,
  { current, new: wanted }: { current: string; new: string },
): Promise<WriteResult> {
  const { parts } = call
  const { userId, sessionId, actor } = personOf(call)
  const attempt = await countAttempt(parts, passwordAttempt(actor, call.address))
  const user = await userById(parts.control, userId)
  if (!user || !(await parts.passwords.verify(user.passwordHash, current)))
    throw invalid([{ path: 'current', message: 'the current password is wrong' }])
  await parts.control.transaction((queries) => forgetAttempts(queries, attempt))
  if (wanted === current) throw invalid([{ path: 'new', message: 'the new password is the same as the current one' }])
  const passwordHash = await parts.passwords.hash(wanted)
  const about = { action: 'user.password', kind: 'user', entity: actor, always: true }
  return writeRevision(call, about, async ({ queries }) => {
    const now = await userById(queries, userId)
    if (!now || now.passwordHash !== user.passwordHash)
      throw new ProblemError(409, 'Your account was changed in the meantime. Nothing was saved. Try again.')
    await putUser(queries, { ...now, passwordHash })
    await revokeLoginSessionsOf(queries, userId, { now: parts.now(), except: sessionId })
    return {}
  })
}

export async function readOwnLoginSessions(call: Call, { limit, cursor }: PageQuery): Promise<Page<LoginSessionView>> {
  const { userId, sessionId } = personOf(call)
  const page = { limit: limit + 1, before: afterCursor(cursor), now: call.parts.now() }
  const found = await sessionsOf(call.parts.control, userId, page)
  return pageOf(found, { limit, key: ({ id }) => id, view: (session) => sessionView(session, sessionId) })
}

function sessionView(
  { id, createdAt, expiresAt, seenAt, address, agent }: SeenLoginSession,
  current: string,
): LoginSessionView {
  return {
    id,
    createdAt: iso(createdAt),
    expiresAt: iso(expiresAt),
    ...(seenAt === null ? {} : { seenAt: iso(seenAt) }),
    ...(address === null ? {} : { address }),
    ...(agent === null ? {} : { agent }),
    current: id === current,
  }
}

export async function endOwnLoginSession(call: Call, id: string): Promise<void> {
  const { userId, actor } = personOf(call)
  const { parts } = call
  const ended = await parts.control.transaction(async (queries) => {
    const was = await revokeLoginSessionOf(queries, userId, { id, now: parts.now() })
    if (was) await recordAudit(queries, auditOf(call, { actor, action: 'logout', entity: id }))
    return was
  })
  if (!ended) throw notFound(`session ${id.slice(0, 100)} in your account`)
}
