import { type RuleCheck, refuse } from '../rule.ts'

/**
 * RFC 5321 §3.1: a client waits for the greeting. One that does not is not a mail server. A greeting delay reveals more
 * of them.
 */
export const pregreet: RuleCheck<'pregreet'> = ({ ip, lookups }, { settings }) => {
  const { greetingDelaySeconds, autoDenyHackAttempts } = settings.security
  if (lookups?.pregreet && (greetingDelaySeconds > 0 || autoDenyHackAttempts))
    return refuse(
      { reply: 'pregreet', close: true },
      `${ip} sent data before the banner; security.greetingDelaySeconds is ${greetingDelaySeconds}, security.autoDenyHackAttempts is ${autoDenyHackAttempts ? 'on' : 'off'}.`,
    )
  if (greetingDelaySeconds === 0 || lookups?.pregreet !== undefined) return 'pass'
  return { missing: `It is not known whether ${ip} waits for the greeting.` }
}
