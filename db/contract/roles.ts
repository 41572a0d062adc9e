import { z } from 'zod'

/** In ascending order: each role has all permissions of the roles before it. */
export const roleNames = ['viewer', 'operator', 'admin', 'owner'] as const
export type Role = (typeof roleNames)[number]
export const roleSchema = z.enum(roleNames)

export const roles: Record<Role, string> = {
  viewer: 'Can see everything except message bodies and secrets.',
  operator: 'Can also start, stop and restart services, read and act on queued messages, and submit messages.',
  admin: 'Can also change settings, lists and the directory.',
  owner: 'Can also manage users and tokens.',
}

export function roleAtLeast(role: Role, needed: Role): boolean {
  return roleNames.indexOf(role) >= roleNames.indexOf(needed)
}
