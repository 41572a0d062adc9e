import { z } from 'zod'

/** Each role may do what the ones before it may. */
export const roleNames = ['viewer', 'operator', 'admin', 'owner'] as const
export type Role = (typeof roleNames)[number]
export const roleSchema = z.enum(roleNames)

export const roles: Record<Role, string> = {
  viewer: 'Sees everything but message bodies and secrets.',
  operator: 'Also starts, stops and restarts services, acts on queued messages, looks into them and submits new ones.',
  admin: 'Also changes settings, lists and the directory.',
  owner: 'Also manages users and tokens.',
}

export function roleAtLeast(role: Role, needed: Role): boolean {
  return roleNames.indexOf(role) >= roleNames.indexOf(needed)
}
