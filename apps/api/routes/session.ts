import { roleSchema } from '@postern/contract/roles.ts'
import { refreshTokenSchema, signInSchema } from '@postern/contract/users.ts'
import { z } from 'zod'
import type { Dependencies } from '../dependencies.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { identify } from '../identity/bearer.ts'
import { isOwnPage, refreshCookie, refreshCookieOf } from '../identity/cookie.ts'
import type { TokenKeys } from '../identity/keys.ts'
import { endLoginSession, refresh, refreshByCookie, type SignInOptions, signIn, signOut } from '../identity/sessions.ts'
import { invalid, ProblemError } from '../problem.ts'

const tokensSchema = z.object({ accessToken: z.string(), refreshToken: z.string(), expiresIn: z.number().int() })

export function signInRoutes(parts: Dependencies, keys: TokenKeys): Endpoint[] {
  let decoy: Promise<string> | undefined
  const sessions: SignInOptions = {
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
      alsoAnswers: {
        401: 'Wrong email address or password.',
        429: 'Too many failed attempts. Retry-After says how long to wait.',
      },
      scope: 'public',
      tag: 'Sessions',
      summary: 'Sign in. Browsers also get the refresh token as a cookie',
      body: signInSchema,
      bodyLimit: 16_384,
      answer: tokensSchema,
      handle: async (call, { body }, request) => {
        const agent = request.headers.get('user-agent')?.slice(0, 300)
        const { cookieToken, ...tokens } = await signIn(call, sessions, { ...body, agent })
        return withCookie(tokens, isOwnPage(request) ? refreshCookie(request, cookieToken) : undefined)
      },
    }),
    endpoint({
      method: 'post',
      path: '/v1/auth/refresh',
      alsoAnswers: {
        401: 'The token is no longer valid.',
        429: 'Too many failed attempts. Retry-After says how long to wait.',
      },
      scope: 'public',
      tag: 'Sessions',
      summary: 'Exchange a refresh token for new tokens, or the refresh cookie for an access token',
      body: refreshTokenSchema.partial(),
      bodyLimit: 16_384,
      answer: tokensSchema.partial({ refreshToken: true }),
      handle: async (call, { body }, request) => {
        if (body.refreshToken !== undefined) return refresh(call, sessions, body.refreshToken)
        const token = refreshCookieOf(request)
        if (token === undefined)
          throw invalid([{ path: 'refreshToken', message: 'refreshToken is missing, and there is no refresh cookie' }])
        try {
          return await refreshByCookie(call, sessions, token)
        } catch (error) {
          if (!(error instanceof ProblemError) || error.status !== 401) throw error
          throw new ProblemError(401, error.message, { headers: { 'set-cookie': refreshCookie(request, undefined) } })
        }
      },
    }),
    endpoint({
      method: 'post',
      path: '/v1/auth/logout',
      alsoAnswers: { 401: 'There is no session to end.' },
      scope: 'public',
      tag: 'Sessions',
      summary: 'Sign out: end the session of the refresh token, the refresh cookie or the access token',
      body: refreshTokenSchema.partial(),
      bodyLimit: 16_384,
      status: 204,
      answer: z.void(),
      handle: async (call, { body }, request) => {
        const token = body.refreshToken ?? refreshCookieOf(request)
        if (token !== undefined) await signOut(call, token)
        else {
          const who = await identify(parts, keys, request.headers.get('authorization') ?? undefined)
          if (who.type === 'user') await endLoginSession(call, who.sessionId, who.actor)
        }
        return withCookie(undefined, isOwnPage(request) ? refreshCookie(request, undefined) : undefined)
      },
    }),
    endpoint({
      method: 'get',
      path: '/v1/me',
      scope: 'self',
      tag: 'Sessions',
      summary: 'Read the signed-in user or the API token',
      answer: z.object({
        type: z.enum(['user', 'token']),
        id: z.string(),
        email: z.string().optional(),
        name: z.string(),
        role: roleSchema,
      }),
      handle: async ({ who }) => {
        if (who.type === 'worker') throw new ProblemError(403, 'Workers may not use this endpoint.')
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
      summary: 'End this session and its refresh tokens',
      status: 204,
      answer: z.void(),
      handle: async (call) => {
        const { who } = call
        if (who.type === 'user') await endLoginSession(call, who.sessionId, who.actor)
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

function withCookie(body: unknown, cookie: string | undefined): Response {
  const headers = { 'cache-control': 'no-store', ...(cookie ? { 'set-cookie': cookie } : {}) }
  if (body === undefined) return new Response(null, { status: 204, headers })
  return Response.json(body, { headers })
}
