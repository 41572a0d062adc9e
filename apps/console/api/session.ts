import type { Role } from '@postern/contract/roles.ts'
import { useSyncExternalStore } from 'react'
import { ApiProblem, readProblem } from './problem.ts'
import { answered, unanswered } from './reachable.ts'

/**
 * Who is signed in. The access token lives in this module's memory only. The refresh token lives in sessionStorage: it is
 * gone with the tab, other tabs and later visitors of the machine do not see it, and it rotates at each use, so that a
 * copied one betrays itself. The API hands it out in the body, so a cookie is not ours to choose; against script injection
 * stands the CSP, which allows scripts of our own origin only.
 *
 * When the session cannot be renewed, nothing is thrown away: requests wait, the sign-in appears above the page, and a
 * half-filled form is still there afterwards.
 */

export type Me = { email: string; role: Role }
export type Session =
  | { state: 'starting' }
  | { state: 'out' }
  | { state: 'in'; me: Me }
  /** Was signed in; the page stays as it is until somebody signs in again. */
  | { state: 'expired'; me: Me }

const storageKey = 'postern.refresh'
let session: Session = { state: 'starting' }
let access: { token: string; until: number } | null = null
let renewing: Promise<string> | null = null
const waiting: { resolve: (token: string) => void; reject: (error: Error) => void }[] = []
const listeners = new Set<() => void>()

function change(next: Session): void {
  session = next
  for (const listener of listeners) listener()
}

export function useSession(): Session {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => session,
  )
}

type Tokens = { accessToken: string; refreshToken: string; expiresIn: number }

const silence = () =>
  new ApiProblem({ status: 0, title: 'No answer', detail: 'The API does not answer. Is it running?' })

async function post(path: string, body: unknown, token?: string): Promise<Response> {
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
      body: JSON.stringify(body),
    })
    answered(response.status)
    return response
  } catch {
    unanswered()
    throw silence()
  }
}

function keep(tokens: Tokens): string {
  access = { token: tokens.accessToken, until: Date.now() + tokens.expiresIn * 1000 }
  sessionStorage.setItem(storageKey, tokens.refreshToken)
  return tokens.accessToken
}

async function readMe(token: string): Promise<Me> {
  const response = await fetch('/v1/me', { headers: { authorization: `Bearer ${token}` } }).catch(() => {
    unanswered()
    throw silence()
  })
  if (!response.ok) throw await readProblem(response)
  return (await response.json()) as Me
}

/** Throws an ApiProblem: 401 wrong e-mail or password, 429 too many tries, 0 no answer. */
export async function signIn(email: string, password: string): Promise<void> {
  const response = await post('/v1/auth/token', { email, password })
  if (!response.ok) throw await readProblem(response)
  const token = keep((await response.json()) as Tokens)
  const before = session
  const me = await readMe(token)
  // Somebody else signing in over an expired page must not send the first one's half-filled form.
  if (before.state === 'expired' && before.me.email !== me.email) return location.reload()
  change({ state: 'in', me })
  for (const { resolve } of waiting.splice(0)) resolve(token)
}

export async function signOut(): Promise<void> {
  const refreshToken = sessionStorage.getItem(storageKey)
  const token = access?.token
  access = null
  sessionStorage.removeItem(storageKey)
  for (const { reject } of waiting.splice(0)) reject(new Error('Signed out'))
  change({ state: 'out' })
  if (refreshToken) await post('/v1/auth/logout', { refreshToken }, token).catch(() => undefined)
}

/** At the start of the page: a reload keeps the session of this tab, and waits for an API that is away. */
export async function resume(): Promise<void> {
  while (sessionStorage.getItem(storageKey))
    try {
      return change({ state: 'in', me: await readMe(await renew()) })
    } catch (error) {
      const away = error instanceof ApiProblem && (error.status === 0 || error.status >= 500)
      if (!away) break
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
  change({ state: 'out' })
}

async function renew(): Promise<string> {
  const refreshToken = sessionStorage.getItem(storageKey)
  if (refreshToken) {
    const response = await post('/v1/auth/refresh', { refreshToken })
    if (response.ok) return keep((await response.json()) as Tokens)
    if (response.status >= 500 || response.status === 429) throw await readProblem(response)
    sessionStorage.removeItem(storageKey)
  }
  if (session.state !== 'in' && session.state !== 'expired') throw new Error('Not signed in')
  change({ state: 'expired', me: session.me })
  return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
}

/** An access token that is good for the next request; waits for the sign-in when the session has ended. */
export async function accessToken(): Promise<string> {
  if (access && access.until > Date.now() + 20_000) return access.token
  renewing ??= renew().finally(() => {
    renewing = null
  })
  return renewing
}

/** The API forbade something: the role may have been changed since the sign-in, and then the pages follow. */
export async function lookAgain(token: string): Promise<void> {
  const me = await readMe(token).catch(() => null)
  if (me && session.state === 'in' && session.me.email === me.email && session.me.role !== me.role)
    change({ state: 'in', me })
}

/** The API did not take this token: the next request asks for another one. */
export function forgetAccessToken(token: string): void {
  if (access?.token === token) access = null
}
