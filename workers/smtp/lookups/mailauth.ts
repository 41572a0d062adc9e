import type { DataFacts } from '@postern/contract/facts.ts'
import { hostNameOf } from '@postern/contract/host-name.ts'
import { type Findings, mailChecks } from '@postern/contract/mailauth.ts'
import { VerifierBusy } from '@postern/mailauth/verifier.ts'
import { checksFor, isRelay } from '@postern/policy/mailauth.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { LookupClients } from './lookup-clients.ts'

type VerifyOptions = {
  clients: LookupClients
  policy: Policy
  message?: { read(): AsyncIterable<Buffer> } | undefined
}

/**
 * SPF, DKIM and DMARC of a message before it is answered: all that are on, because more of them cost no more. Resolves after
 * 20 seconds at the latest, and with nothing when that was too short or too many messages waited.
 */
export async function verifyMessage(
  facts: DataFacts,
  { clients: { verifier, trouble }, policy, message }: VerifyOptions,
): Promise<Findings> {
  if (!verifier || !message) return {}
  const { sender, ip, helo = '' } = facts
  const checks = checksFor(facts, policy)
  const question = {
    sender: sender === null || sender === 'null-sender' ? '' : sender.text,
    ip,
    helo,
    hostname: hostNameOf(policy.settings.general.hostname, facts.machine),
    checks: mailChecks.filter((check) => checks[check] !== 'off'),
    relay: isRelay(facts, policy),
  }
  try {
    const { findings } = await verifier.streamed(question, message.read())
    return findings
  } catch (error) {
    if (!(error instanceof VerifierBusy)) trouble?.(error)
    return {}
  }
}
