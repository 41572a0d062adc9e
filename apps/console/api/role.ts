import { type Role, roleAtLeast } from '@postern/contract/roles.ts'
import { useSession } from './session.ts'

/** Whether the one who is signed in may do what needs this role. The API decides; this only spares a refusal. */
export function useMay(needed: Role): boolean {
  const session = useSession()
  return (session.state === 'in' || session.state === 'expired') && roleAtLeast(session.me.role, needed)
}
