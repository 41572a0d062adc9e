import { addressFault } from '@postern/contract/address.ts'
import { isAscii, withoutRoute } from '../path.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/** Refuses malformed recipients (RFC 5321 §4.1.2). `postmaster` alone is also valid. */
export const recipientSyntax: RuleCheck<'recipient-syntax'> = ({ facts: { recipientText, smtpUtf8 }, target }) => {
  if (target.kind === 'unreadable') {
    const fault = addressFault(withoutRoute(recipientText))
    return refuse(
      {
        reply: 'recipientSyntax',
        values: { detail: `${fault}; expected <local@domain>` },
      },
      `RCPT TO:<${recipientText}> is not an address: ${fault}.`,
    )
  }
  if (smtpUtf8 || isAscii(recipientText)) return 'pass'
  return refuse(
    { reply: 'smtpUtf8Required' },
    `RCPT TO:<${recipientText}> contains non-ASCII characters, and the client did not ask for SMTPUTF8.`,
  )
}
