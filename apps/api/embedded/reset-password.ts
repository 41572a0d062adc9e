import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ownerLongest, putUser, revokeLoginSessionsOf, userByEmail } from '@postern/store/control/identity.ts'
import { forgetAttemptsOf } from '@postern/store/control/login-attempts.ts'
import { recordAudit } from '@postern/store/control/revisions.ts'
import type { Database } from '@postern/store/database.ts'
import { DatabaseError, openControl } from '@postern/store/open.ts'
import { newId } from '../new-id.ts'
import { passwords } from '../node/passwords.ts'
import { randomSecret } from '../request.ts'
import { DataDirectoryInUse, lockDataDirectory } from './data-directory.ts'

/**
 * `postern reset-password [EMAIL]`, for an owner who is locked out. Works on the data directory while Postern is
 * stopped, for anyone who can write there. The API cannot reach this code.
 */

class ResetError extends Error {
  override name = 'ResetError'
}

async function main(args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const [email] = args
  if (args.length > 1 || email?.startsWith('-')) throw new ResetError('usage: postern reset-password [EMAIL]')
  if (env.POSTERN_DATABASE_URL)
    throw new ResetError('POSTERN_DATABASE_URL is set. This command only works with settings in a data directory.')
  const directory = resolve(env.POSTERN_DATA_DIR || './data')
  const file = join(directory, 'db', 'settings.db')
  if (!existsSync(file))
    throw new ResetError(`There is no Postern in ${directory}. Set POSTERN_DATA_DIR to its data directory.`)
  const { uid } = statSync(file)
  if (process.getuid?.() !== uid)
    throw new ResetError(`${file} belongs to user ${uid}. Run this as that user, e.g. with sudo -u '#${uid}'.`)
  process.umask(0o077)
  const unlock = lockDataDirectory(directory)
  const control = await openControl({ url: `file:${file}` })
  const reset = await resetPassword(control, email)
  control.$client.close()
  unlock()
  console.log(`The password of ${reset.email} is now ${reset.password} (shown only once; change it)`)
}

/** Sets a new password. Ends the user's sessions and resets the login limits. */
async function resetPassword(control: Database, wanted: string | undefined) {
  const password = randomSecret('').slice(0, 20)
  const passwordHash = await passwords.hash(password)
  const now = Date.now()
  return control.transaction(async (queries) => {
    const user = wanted === undefined ? await ownerLongest(queries) : await userByEmail(queries, wanted)
    if (!user)
      throw new ResetError(
        wanted === undefined
          ? 'There is no owner yet. Start Postern once to create one.'
          : `There is no user ${wanted}.`,
      )
    const { id, email } = user
    await putUser(queries, { ...user, passwordHash })
    await revokeLoginSessionsOf(queries, id, { now })
    await forgetAttemptsOf(queries, email)
    const about = { actor: 'system', action: 'user.reset-password', kind: 'user', entity: email, address: undefined }
    await recordAudit(queries, { ...about, id: newId(now), now, comment: 'postern reset-password on the machine' })
    return { email, password }
  })
}

main(process.argv.slice(2), process.env).catch((error: unknown) => {
  const isExplained = [ResetError, DatabaseError, DataDirectoryInUse].some((kind) => error instanceof kind)
  console.error(isExplained ? `postern reset-password: ${(error as Error).message}` : error)
  process.exit(1)
})
