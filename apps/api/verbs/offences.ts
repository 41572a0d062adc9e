import { parseBlock } from '@postern/contract/ip-address.ts'
import type { Offence, OffenceBatchResponse } from '@postern/contract/offences.ts'
import type { Settings } from '@postern/contract/settings.ts'
import { addressBlocks, findBlock } from '@postern/policy/address-blocks.ts'
import { type BlockVerdict, blockLimits, decideBlock } from '@postern/policy/decide-block.ts'
import type { ChangeSet } from '@postern/store/control/change-set.ts'
import { consoleAddresses } from '@postern/store/control/identity.ts'
import { addOffences, unusedOffences, useOffences } from '@postern/store/control/offences.ts'
import { commit, headRevision } from '@postern/store/control/revisions.ts'
import { blocksHolding, getSettings, rowsByKey } from '@postern/store/control/rows.ts'
import type { Database } from '@postern/store/database.ts'
import { sendChangeNotifications } from '../change-notifications.ts'
import type { Dependencies } from '../dependencies.ts'
import type { Call } from '../write-revision.ts'
import { makeRoom } from './lists.ts'
import { workerOf } from './workers.ts'

/**
 * Adds up the offences that all workers report, and blocks addresses in Control Access. One batch is one transaction,
 * so the counts always agree with the blocks made from them. This process keeps no state.
 */

/**
 * A console address is exempt for this long after its last use. An open console refreshes its session every 15 minutes.
 */
const consoleMs = 24 * 3_600_000
const longestWindowMs = 24 * 3_600_000

type Blocked = Extract<BlockVerdict, { block: true }>

export async function takeOffences(call: Call, reported: readonly Offence[]): Promise<OffenceBatchResponse> {
  const { parts } = call
  const { workerId } = workerOf(call)
  const settings = await settingsOf(parts.control)
  const addresses = [...new Set(reported.map(({ address }) => address))]
  const exempt = await exemptions(parts, settings, addresses)
  const limits = blockLimits(settings)
  const now = parts.now()
  const rows = reported.flatMap(({ id, kind, address, count, at, evidence }) => {
    const limit = limits.get(kind)
    if (!limit) return []
    const when = Math.min(now, Math.max(now - longestWindowMs, Date.parse(at)))
    return [{ id, kind, address, count, evidence, at: when, expiresAt: when + limit.withinMinutes * 60_000 }]
  })
  if (rows.length === 0) return { revision: await headRevision(parts.control), blocked: [] }
  const about = { seal: parts.seal, now, id: parts.newId(), actor: 'system:offences', action: 'control-access.block' }
  const { revision, count, result } = await commit(parts.control, about, async (changeSet) => {
    await addOffences(changeSet.queries, workerId, rows)
    return block(changeSet, {
      parts,
      settings,
      exempt,
      now,
      addresses: [...new Set(rows.map(({ address }) => address))],
    })
  })
  if (count > 0) parts.background(sendChangeNotifications(parts, revision))
  return {
    revision,
    blocked: result.map(({ kind, entry: { value, reason, expiresAt } }) => ({
      address: value,
      kind,
      reason,
      expiresAt,
    })),
  }
}

type Counted = {
  parts: Dependencies
  settings: Settings
  exempt: Map<string, string>
  now: number
  addresses: string[]
}

/** Decides about each address and writes the entries. Does not change entries that an administrator made. */
async function block(changeSet: ChangeSet, { parts, settings, exempt, now, addresses }: Counted): Promise<Blocked[]> {
  const seen = Map.groupBy(await unusedOffences(changeSet.queries, addresses, now), ({ address }) => address)
  const verdicts = [...seen].map(([address, offences]) => {
    const because = exempt.get(address)
    return decideBlock({ now, address, offences, ...(because === undefined ? {} : { exempt: because }) }, settings)
  })
  // Mark the offences of exempt addresses as used, so that they do not count once the exemption ends.
  await useOffences(changeSet.queries, [...exempt.keys()])
  const due = verdicts.filter((verdict) => verdict.block)
  if (due.length === 0) return []
  const values = due.map(({ entry }) => entry.value)
  await makeRoom(changeSet, { list: 'control-access', values, now })
  const standing = new Set((await rowsByKey(changeSet.queries, 'control-access', values)).map(({ key }) => key))
  await useOffences(changeSet.queries, values)
  const made = due.filter(({ entry }) => !standing.has(entry.value))
  const createdAt = new Date(now).toISOString()
  await changeSet.addEntries(
    'control-access',
    made.map(({ entry, createdBy }) => ({ id: parts.newId(), value: { ...entry, createdBy, createdAt } })),
  )
  return made
}

async function settingsOf(control: Database): Promise<Settings> {
  const groups = ['harvesting', 'dictionary', 'security', 'advanced'] as const
  const read = async (group: keyof Settings) => [group, await getSettings(control, group)] as const
  return Object.fromEntries(await Promise.all(groups.map(read))) as Settings
}

/**
 * Returns addresses that are never blocked, with the reason: White List entries, trusted balancers, and addresses from
 * which people use the console.
 */
async function exemptions(
  { control, fixed, now }: Dependencies,
  { advanced }: Settings,
  addresses: readonly string[],
): Promise<Map<string, string>> {
  const at = now()
  const white = addressBlocks()
  for (const { value } of await blocksHolding(control, 'white', addresses)) white.add(JSON.parse(value))
  const balancers = addressBlocks()
  const fromEnvironment = (fixed['advanced.proxyProtocol'] ?? '').replace(/^.*=/, '').split(',')
  for (const value of [...advanced.proxyProtocol, ...fromEnvironment].map((text) => text.trim()))
    if (parseBlock(value)) balancers.add({ value, createdBy: 'settings', createdAt: '' })
  const consoles = new Set(await consoleAddresses(control, { since: at - consoleMs, now: at }))
  const why = (address: string): string | undefined => {
    if (findBlock(white.blocks, address, at)) return 'it is in the White List'
    if (findBlock(balancers.blocks, address, at)) return 'it is a trusted balancer'
    return consoles.has(address) ? 'someone uses the console from it' : undefined
  }
  return new Map(
    addresses.flatMap((address) => {
      const reason = why(address)
      return reason === undefined ? [] : [[address, reason] as const]
    }),
  )
}
