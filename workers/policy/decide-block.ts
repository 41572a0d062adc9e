import type { ListInput } from '@postern/contract/lists.ts'
import type { Offence, OffenceKind } from '@postern/contract/offences.ts'
import type { Settings } from '@postern/contract/settings.ts'

/**
 * Decides whether an address has done enough to be blocked, and for how long. Pure: the input is the count over all
 * workers, and the result is a Control Access entry or a sentence that explains why there is none.
 */
export type BlockFacts = {
  /** Milliseconds since the epoch. */
  now: number
  address: string
  /** Reported offences that no earlier entry has used and that were not exempt when they were counted. */
  offences: readonly Seen[]
  /** Why this address is never blocked. Absent: no exemption applies. */
  exempt?: string
}

/** `at`: milliseconds since the epoch. */
export type Seen = Pick<Offence, 'kind' | 'count' | 'evidence'> & { at: number }

export type BlockVerdict =
  | { block: false; because: string }
  | { block: true; kind: OffenceKind; createdBy: string; entry: ListInput & { expiresAt: string; reason: string } }

export type BlockSettings = Pick<Settings, 'harvesting' | 'dictionary' | 'security'>

/**
 * The settings for one kind of offence: the number of offences within a number of minutes that causes a block, and the
 * duration of the block.
 */
type Limit = { most: number; withinMinutes: number; blockMinutes: number; by: string; what: string }

const maxEvidence = 20
/** Times further ahead than this are from before the clock was set back. */
const aheadMs = 60_000
const day = 1440

/** Returns the limits in force, the most serious first. Kinds without a limit are not counted. */
export function blockLimits({ harvesting, dictionary, security }: BlockSettings): Map<OffenceKind, Limit> {
  const limits = new Map<OffenceKind, Limit>()
  if (security.autoDenyHackAttempts)
    limits.set('hack-attempt', {
      most: 1,
      withinMinutes: day,
      blockMinutes: security.autoDenyMinutes,
      by: 'system:security',
      what: 'hack attempts',
    })
  if (dictionary.blockMinutes > 0)
    limits.set('error-limit', {
      most: 1,
      withinMinutes: day,
      blockMinutes: dictionary.blockMinutes,
      by: 'system:dictionary',
      what: 'sessions above an error limit',
    })
  if (harvesting.enabled)
    limits.set('failed-login', {
      most: harvesting.maxFailedLogins,
      withinMinutes: harvesting.withinMinutes,
      blockMinutes: harvesting.blockMinutes,
      by: 'system:harvesting',
      what: 'failed logins',
    })
  if (dictionary.blockMinutes > 0 && dictionary.maxInvalidRecipients > 0 && dictionary.windowMinutes > 0)
    limits.set('invalid-recipient', {
      most: dictionary.maxInvalidRecipients,
      withinMinutes: dictionary.windowMinutes,
      blockMinutes: dictionary.blockMinutes,
      by: 'system:dictionary',
      what: 'unknown recipients',
    })
  return limits
}

export function decideBlock(facts: BlockFacts, settings: BlockSettings): BlockVerdict {
  const { now, address, offences, exempt } = facts
  if (exempt !== undefined) return { block: false, because: `${address} is never blocked: ${exempt}.` }
  for (const [kind, limit] of blockLimits(settings)) {
    const since = now - limit.withinMinutes * 60_000
    const counted = offences.filter((seen) => seen.kind === kind && seen.at > since && seen.at <= now + aheadMs)
    const count = counted.reduce((sum, seen) => sum + seen.count, 0)
    if (count >= limit.most) return blocked({ now, address, kind, limit, count, counted })
  }
  return { block: false, because: `${address} is below every limit.` }
}

type Found = {
  now: number
  address: string
  kind: OffenceKind
  limit: Limit
  count: number
  counted: readonly Seen[]
}

function blocked({ now, address, kind, limit, count, counted }: Found): BlockVerdict {
  const newestFirst = [...counted].sort((a, b) => b.at - a.at)
  const evidence = newestFirst.flatMap((seen) =>
    seen.evidence.map((sentence) => `${new Date(seen.at).toISOString()} ${sentence}`.slice(0, 500)),
  )
  const span = limit.withinMinutes === day ? '' : ` within ${limit.withinMinutes} minutes`
  return {
    block: true,
    kind,
    createdBy: limit.by,
    entry: {
      value: address,
      action: 'deny',
      expiresAt: new Date(now + limit.blockMinutes * 60_000).toISOString(),
      reason: limit.most === 1 ? reasons[kind] : `${count} ${limit.what}${span}; the limit is ${limit.most}`,
      evidence: evidence.slice(0, maxEvidence),
    },
  }
}

const reasons: Record<OffenceKind, string> = {
  'hack-attempt': 'A hack attempt',
  'error-limit': 'A session above an error limit',
  'failed-login': 'A failed login; the limit is 1',
  'invalid-recipient': 'An unknown recipient; the limit is 1',
}
