import { type Questions, type RuleRow, refuse } from '../rule.ts'

/** How many sessions one worker holds at a time. */
export const concurrentSessions: RuleRow<Questions['connect']> = {
  name: 'concurrent-sessions',
  ask({ sessionsOpen }, { settings }) {
    const { maxThreads } = settings.advanced
    if (sessionsOpen <= maxThreads) return 'pass'
    return refuse(
      { reply: 'tooManySessions', reason: 'too-many-sessions', close: true },
      `${sessionsOpen} sessions are open on this worker; advanced.maxThreads is ${maxThreads}.`,
    )
  },
}
