import type { SessionFacts } from '@postern/contract/facts.ts'
import type { MailCheck } from '@postern/contract/mailauth.ts'
import { findBlock } from './address-blocks.ts'
import type { Policy } from './policy.ts'

/** Which of SPF, DKIM and DMARC a client's mail goes through, and what hangs on it. */

export type Checks = Readonly<Record<MailCheck, 'off' | 'mark' | 'enforce'>>

const none: Checks = { spf: 'off', dkim: 'off', dmarc: 'off' }

/**
 * Mail of somebody who has logged in, and mail on the submission ports, is its author's own: nothing is asked about it. A
 * client in the relay list gets no DKIM verification.
 */
export function checksFor(facts: SessionFacts, policy: Policy): Checks {
  const { verifySpf: spf, verifyDkim: dkim, verifyDmarc: dmarc } = policy.settings.general
  if (facts.login !== undefined || facts.listener !== 'smtp') return none
  return { spf, dkim: dkim !== 'off' && isRelay(facts, policy) ? 'off' : dkim, dmarc }
}

/** The client is in the relay list: its messages may have come a long way, and their signatures may have suffered. */
export function isRelay({ ip, now }: SessionFacts, { relay }: Policy): boolean {
  return findBlock(relay, ip, now) !== undefined
}
