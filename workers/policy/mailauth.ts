import type { SessionFacts } from '@postern/contract/facts.ts'
import type { MailCheck } from '@postern/contract/mailauth.ts'
import { findBlock } from './address-blocks.ts'
import type { Policy } from './policy.ts'

/** Decides which of SPF, DKIM and DMARC apply to a client's mail, and what depends on them. */

export type Checks = Readonly<Record<MailCheck, 'off' | 'mark' | 'enforce'>>

const none: Checks = { spf: 'off', dkim: 'off', dmarc: 'off' }

/**
 * Returns the checks for a session. Mail from a logged-in client, and mail on the submission ports, comes from its
 * author and is not checked. For a client in the relay list, DKIM is not verified.
 */
export function checksFor(facts: SessionFacts, policy: Policy): Checks {
  const { verifySpf: spf, verifyDkim: dkim, verifyDmarc: dmarc } = policy.settings.general
  if (facts.login !== undefined || facts.listener !== 'smtp') return none
  return { spf, dkim: dkim !== 'off' && isRelay(facts, policy) ? 'off' : dkim, dmarc }
}

/**
 * Returns whether the client is in the relay list. Its messages may have passed several servers that broke their
 * signatures.
 */
export function isRelay({ ip, now }: SessionFacts, { relay }: Policy): boolean {
  return findBlock(relay, ip, now) !== undefined
}
