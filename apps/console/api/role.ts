import { type Role, roleAtLeast } from '@postern/contract/roles.ts'
import { useSignIn } from './sign-in.ts'

/** Returns the role of the signed-in user. */
export function useRole(): Role | undefined {
  const session = useSignIn()
  return session.state === 'in' || session.state === 'expired' ? session.me.role : undefined
}

/**
 * Returns whether the signed-in user has at least this role. The API decides; this only avoids requests that it would
 * refuse.
 */
export function useMay(needed: Role): boolean {
  const role = useRole()
  return role !== undefined && roleAtLeast(role, needed)
}
