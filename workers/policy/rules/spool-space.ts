import { type Questions, type RuleRow, refuse } from '../rule.ts'

export const spoolSpace: RuleRow<Questions['mail']> = {
  name: 'spool-space',
  ask({ facts: { spool } }) {
    if (spool === 'ready') return 'pass'
    if (spool === 'not-known') return { missing: 'The free space of the spool is not known.' }
    return refuse({ reply: 'spoolFull', reason: 'storage-full' }, 'The spool has reached its reserve of free space.')
  },
}
