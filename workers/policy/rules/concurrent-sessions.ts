import { type RuleCheck, refuse } from '../rule.ts'

/** Limits the number of concurrent sessions on one worker. */
export const concurrentSessions: RuleCheck<'concurrent-sessions'> = ({ sessionsOpen }, { settings }) => {
  const { maxThreads } = settings.advanced
  if (sessionsOpen <= maxThreads) return 'pass'
  return refuse(
    { reply: 'tooManySessions', close: true },
    `${sessionsOpen} sessions are open on this worker; advanced.maxThreads is ${maxThreads}.`,
  )
}
