import { foldAddress, parseMailAddress } from '@postern/contract/address.ts'
import { defaultRelayList, type ListEntry } from '@postern/contract/lists.ts'
import { serviceNames } from '@postern/contract/services.ts'
import { defaultSettings, settingGroupNames } from '@postern/contract/settings.ts'
import {
  addEnrolToken,
  countUsers,
  deleteEnrolToken,
  putUser,
  sharedEnrolTokenPrefix,
  sharedEnrolTokens,
} from '@postern/store/control/identity.ts'
import { commit, headRevision, recordAudit } from '@postern/store/control/revisions.ts'
import type { Dependencies } from './dependencies.ts'
import { randomSecret, sha256 } from './request.ts'

/**
 * Writes revision 1: every default, the relay list for loopback, and both services set to run. Does nothing on later
 * starts.
 */
export async function seed(parts: Dependencies, firstAdministrator = ''): Promise<void> {
  if ((await headRevision(parts.control)) > 0) return
  const options = {
    seal: parts.seal,
    now: parts.now(),
    id: parts.newId(),
    actor: 'system',
    action: 'first-start',
    kind: 'settings',
    entity: 'defaults',
    comment: 'first start',
  }
  await commit(parts.control, options, async (changeSet) => {
    if (changeSet.revision > 1) return
    const settings = defaultSettings()
    settings.general.postmaster = postmasterFrom(firstAdministrator)
    for (const group of settingGroupNames) await changeSet.put('settings', group, settings[group])
    for (const service of serviceNames) await changeSet.put('service', service, { desired: 'running', generation: 0 })
    const createdAt = new Date(parts.now()).toISOString()
    for (const value of defaultRelayList) {
      const entry: ListEntry = { value, comment: 'this machine', createdBy: 'system', createdAt }
      await changeSet.put('relay', parts.newId(), entry)
    }
  })
}

/**
 * Returns the first administrator's address, which gets postmaster mail until another address is set. Returns an empty
 * string for an address like admin@localhost.
 */
function postmasterFrom(email: string): string {
  const address = parseMailAddress(email.trim())
  return address?.domain.includes('.') ? foldAddress(address) : ''
}

export type Owner = { email: string; password: string; wasMade: boolean }

/**
 * Creates the owner's account if there are no users. A generated password must be shown once, because it is not stored.
 */
export async function makeOwner(
  parts: Dependencies,
  chosen: { email?: string | undefined; password?: string | undefined },
): Promise<Owner | undefined> {
  if ((await countUsers(parts.control)) > 0) return undefined
  const email = (chosen.email || 'admin@localhost').toLowerCase()
  const password = chosen.password || randomSecret('').slice(0, 20)
  const user = {
    id: parts.newId(),
    email,
    role: 'owner' as const,
    passwordHash: await parts.passwords.hash(password),
    createdAt: parts.now(),
    lastLoginAt: null,
  }
  return parts.control.transaction(async (queries) => {
    // Another process that started at the same time may have made one.
    if ((await countUsers(queries)) > 0) return undefined
    await putUser(queries, user)
    const audit = {
      id: parts.newId(),
      now: parts.now(),
      actor: 'system',
      action: 'user.create',
      kind: 'user',
      entity: email,
      address: undefined,
    }
    await recordAudit(queries, audit)
    return { email, password, wasMade: !chosen.password }
  })
}

const shared = ['any', 'smtp', 'queue'] as const
type Shared = (typeof shared)[number]
/** The accepted tokens of each service, the current one first. */
export type SharedTokens = { [service in Shared]: readonly string[] }

type StoredTokens = readonly { id: string; hash: string }[]

/**
 * Stores the enrolment tokens from the environment: of each service, or of both, the current one and the one before it.
 * Replaces the former ones. `known`: what was just read of them.
 * @returns whether there was anything to change
 */
export async function keepEnrolTokens(
  parts: Dependencies,
  tokens: SharedTokens,
  known?: StoredTokens,
): Promise<boolean> {
  const wanted = await Promise.all(
    shared.flatMap((service) => tokens[service].map((token, n) => sharedEntry(service, { token, n }))),
  )
  const pairs = (entries: StoredTokens) =>
    entries
      .map(({ id, hash }) => `${id} ${hash}`)
      .toSorted()
      .join()
  if (pairs(known ?? (await sharedEnrolTokens(parts.control))) === pairs(wanted)) return false
  await parts.control.transaction(async (queries) => {
    for (const { id } of await sharedEnrolTokens(queries)) await deleteEnrolToken(queries, id)
    for (const entry of wanted)
      await addEnrolToken(queries, {
        ...entry,
        name: 'environment',
        createdAt: parts.now(),
        expiresAt: null,
        createdBy: 'system',
      })
  })
  return true
}

async function sharedEntry(service: Shared, { token, n }: { token: string; n: number }) {
  const id = service === 'any' ? sharedEnrolTokenPrefix : `${sharedEnrolTokenPrefix}-${service}`
  return { id: n === 0 ? id : `${id}-previous`, service, hash: await sha256(token) }
}
