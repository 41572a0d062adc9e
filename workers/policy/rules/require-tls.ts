import { type RuleCheck, refuse } from '../rule.ts'

/** Requires TLS. `submission` applies only if TLS is available: a certificate is loaded and STARTTLS is offered. */
export const requireTls: RuleCheck<'require-tls'> = ({ facts }, { settings }) => {
  const { requireTls: wanted, starttls } = settings.tls
  if (facts.tls || wanted === 'no') return 'pass'
  if (wanted === 'submission' && (facts.listener === 'smtp' || !facts.tlsAvailable || !starttls)) return 'pass'
  return refuse(
    { reply: 'tlsRequired' },
    `The session on listener ${facts.listener} is not encrypted; tls.requireTls is ${wanted}.`,
  )
}
