import { type Questions, type RuleRow, refuse } from '../rule.ts'

/** RFC 5321 §3.1: a client waits for the greeting. One that does not is no mail server; with a greeting delay more of them show it. */
export const pregreet: RuleRow<Questions['connect']> = {
  name: 'pregreet',
  reads: 'pregreet',
  exemptsWhiteListed: true,
  ask({ ip, lookups }, { settings }) {
    const { greetingDelaySeconds, autoDenyHackAttempts } = settings.security
    if (lookups?.pregreet && (greetingDelaySeconds > 0 || autoDenyHackAttempts))
      return refuse(
        { reply: 'talkedFirst', reason: 'talked-first', close: true },
        `${ip} talked before the greeting; security.greetingDelaySeconds is ${greetingDelaySeconds}, security.autoDenyHackAttempts is ${autoDenyHackAttempts ? 'on' : 'off'}.`,
      )
    if (greetingDelaySeconds === 0 || lookups?.pregreet !== undefined) return 'pass'
    return { missing: `It is not known whether ${ip} waits for the greeting.` }
  },
}
