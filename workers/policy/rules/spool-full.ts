import { type RuleCheck, refuse } from '../rule.ts'

export const spoolFull: RuleCheck<'spool-full'> = ({ facts: { spool } }) => {
  if (spool === 'ready') return 'pass'
  if (spool === 'not-known') return { missing: 'The free space of the spool is not known.' }
  return refuse({ reply: 'spoolFull' }, 'The spool has reached its reserve of free space.')
}
