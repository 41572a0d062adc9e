import { addressFault } from '@postern/contract/address.ts'
import { isAscii, withoutRoute } from '../path.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/** Refuses malformed senders (RFC 5321 §4.1.2). A non-ASCII address needs SMTPUTF8 (RFC 6531 §3.4). */
export const senderSyntax: RuleCheck<'sender-syntax'> = ({ facts: { senderText, smtpUtf8 }, sender }) => {
  if (sender === null) {
    const fault = addressFault(withoutRoute(senderText))
    return refuse(
      {
        reply: 'senderSyntax',
        values: { detail: `${fault}; expected <local@domain> or <>` },
      },
      `MAIL FROM:<${senderText}> is not an address: ${fault}.`,
    )
  }
  if (smtpUtf8 || isAscii(senderText)) return 'pass'
  return refuse(
    { reply: 'smtpUtf8Required' },
    `MAIL FROM:<${senderText}> contains non-ASCII characters, and the client did not ask for SMTPUTF8.`,
  )
}
