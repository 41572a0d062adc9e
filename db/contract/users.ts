import { z } from 'zod'
import { roleSchema } from './roles.ts'
import { serviceNameSchema } from './services.ts'
import { workerNameSchema } from './worker-protocol.ts'

/**
 * Users, their passwords and login sessions, API tokens and enrolment tokens, as clients send them. Error messages
 * never repeat a secret.
 */

const secret = { secret: true }
const email = z.email({ error: 'must be an email address such as name@example.org' }).max(320)
const newPassword = z.string().min(8).max(256).meta(secret)
const oldPassword = z.string().max(1024).meta(secret)
const expiresAt = z.iso
  .datetime({ offset: true, error: 'must be a time such as 2030-12-31T23:59:59Z (RFC 3339)' })
  .optional()

export const userInputSchema = z.strictObject({ email, role: roleSchema, password: newPassword })
export const userPatchSchema = userInputSchema.partial()
export const passwordChangeSchema = z.strictObject({ current: oldPassword, new: newPassword })

export const signInSchema = z.strictObject({ email: z.string().max(320), password: oldPassword })
export const refreshTokenSchema = z.strictObject({ refreshToken: z.string().min(1).max(500).meta(secret) })

export const tokenInputSchema = z.strictObject({ name: z.string().trim().min(1).max(100), role: roleSchema, expiresAt })
/** An enrolment token for one worker. */
export const enrolTokenInputSchema = z.strictObject({ name: workerNameSchema, service: serviceNameSchema, expiresAt })
