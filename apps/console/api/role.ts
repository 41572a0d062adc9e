import { type Role, roleAtLeast } from '@postern/contract/roles.ts'
import { useSignIn } from './sign-in.ts'

/** The role of the one who is signed in. */
export function useRole(): Role | undefined {
  const session = useSignIn()
  return session.state === 'in' || session.state === 'expired' ? session.me.role : undefined
}

/** Whether the one who is signed in may do what needs this role. The API decides; this only spares a refusal. */
export function useMay(needed: Role): boolean {
  const role = useRole()
  return role !== undefined && roleAtLeast(role, needed)
}
