import { roleSchema } from '@postern/contract/roles.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { identify } from '../identity/bearer.ts'
import type { TokenKeys } from '../identity/keys.ts'
import { endSession, refresh, type SessionParts, signIn, signOut } from '../identity/sessions.ts'
import type { Parts } from '../parts.ts'
import { ProblemError } from '../problem.ts'

const tokensSchema = z.object({ accessToken: z.string(), refreshToken: z.string(), expiresIn: z.number().int() })
const refreshBody = z.strictObject({ refreshToken: z.string().min(1).max(500) })

export function sessionRoutes(parts: Parts, keys: TokenKeys): Endpoint[] {
  let decoy: Promise<string> | undefined
  const sessions: SessionParts = {
    keys,
    get decoy() {
      decoy ??= parts.passwords.hash('nobody has this password')
      return decoy
    },
  }
  return [
    endpoint({
      method: 'post',
      path: '/v1/auth/token',
      scope: 'public',
      tag: 'Sessions',
      summary: 'Sign in',
      body: z.strictObject({ email: z.string().max(320), password: z.string().max(1024) }),
      bodyLimit: 16_384,
      answer: tokensSchema,
      handle: (call, { body }) => signIn(call, sessions, body),
    }),
    endpoint({
      method: 'post',
      path: '/v1/auth/refresh',
      scope: 'public',
      tag: 'Sessions',
      summary: 'Trade a refresh token for new tokens',
      body: refreshBody,
      bodyLimit: 16_384,
      answer: tokensSchema,
      handle: (call, { body }) => refresh(call, sessions, body.refreshToken),
    }),
    endpoint({
      method: 'post',
      path: '/v1/auth/logout',
      scope: 'public',
      tag: 'Sessions',
      summary: 'End the session of the refresh token, or else of the access token',
      body: refreshBody.partial(),
      bodyLimit: 16_384,
      status: 204,
      answer: z.void(),
      handle: async (call, { body }, request) => {
        if (body.refreshToken !== undefined) return signOut(call, body.refreshToken)
        const who = await identify(parts, keys, request.headers.get('authorization') ?? undefined)
        if (who.type === 'user') await endSession(parts, who.sessionId, who.actor)
      },
    }),
    endpoint({
      method: 'get',
      path: '/v1/me',
      scope: 'self',
      tag: 'Sessions',
      summary: 'Who am I',
      answer: z.object({
        type: z.enum(['user', 'token']),
        id: z.string(),
        email: z.string().optional(),
        name: z.string(),
        role: roleSchema,
      }),
      handle: async ({ who }) => {
        if (who.type === 'worker') throw new ProblemError(403, 'A worker is nobody here.')
        return who.type === 'user'
          ? { type: 'user', id: who.userId, email: who.actor, name: who.actor, role: who.role }
          : { type: 'token', id: who.tokenId, name: who.actor, role: who.role }
      },
    }),
    endpoint({
      method: 'delete',
      path: '/v1/me/session',
      scope: 'self',
      tag: 'Sessions',
      summary: 'End this session, its refresh tokens with it',
      status: 204,
      answer: z.void(),
      handle: async ({ parts, who }) => {
        if (who.type === 'user') await endSession(parts, who.sessionId, who.actor)
      },
    }),
    endpoint({
      method: 'get',
      path: '/.well-known/jwks.json',
      scope: 'public',
      tag: 'Sessions',
      summary: 'The public keys of access tokens',
      answer: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }),
      handle: () => keys.jwks(),
    }),
  ]
}
