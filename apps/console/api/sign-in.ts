import type { Role } from '@postern/contract/roles.ts'
import { useSyncExternalStore } from 'react'
import { answered, unanswered } from './api-reachable.ts'
import { ApiProblem, readProblem } from './problem.ts'

/**
 * The sign-in. The access token exists only in this module's memory. A cookie that no script can read (HttpOnly,
 * SameSite=Strict, for /v1/auth only) renews it. So a new tab or a pasted link is signed in, and a sign-out affects all
 * tabs, which notify each other.
 *
 * If the session cannot be renewed, nothing is lost: requests wait, the sign-in appears above the page, and a
 * half-filled form is still there afterwards.
 */

export type Me = { email: string; role: Role }
export type SignInState =
  | { state: 'starting' }
  | { state: 'out' }
  | { state: 'in'; me: Me }
  /** The user was signed in. The page stays unchanged until the next sign-in. */
  | { state: 'expired'; me: Me }

const tabs = new BroadcastChannel('postern.session')
let session: SignInState = { state: 'starting' }
let access: { token: string; until: number } | null = null
let renewing: Promise<string> | null = null
const waiting: { resolve: (token: string) => void; reject: (error: Error) => void }[] = []
const listeners = new Set<() => void>()

function change(next: SignInState): void {
  session = next
  for (const listener of listeners) listener()
}

export function useSignIn(): SignInState {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => session,
  )
}

type Tokens = { accessToken: string; expiresIn: number }

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

/** Throws an ApiProblem: 401 wrong email address or password, 429 too many attempts, 0 no response. */
export async function signIn(email: string, password: string): Promise<void> {
  const response = await post('/v1/auth/token', { email, password })
  if (!response.ok) throw await readProblem(response)
  const token = keep((await response.json()) as Tokens)
  await enter(token)
  tabs.postMessage('in')
}

/** Completes a sign-in. A different user must not send the previous user's half-filled form. */
async function enter(token: string): Promise<void> {
  const before = session
  const me = await readMe(token)
  if ((before.state === 'expired' || before.state === 'in') && before.me.email !== me.email) return location.reload()
  change({ state: 'in', me })
  for (const { resolve } of waiting.splice(0)) resolve(token)
}

export async function signOut(): Promise<void> {
  const token = access?.token
  leave()
  // A failed sign-out request leaves the cookie, and the next page would be signed in again.
  await post('/v1/auth/logout', {}, token).catch(() => undefined)
  tabs.postMessage('out')
}

function leave(): void {
  access = null
  for (const { reject } of waiting.splice(0)) reject(new Error('Signed out'))
  change({ state: 'out' })
}

tabs.onmessage = ({ data }) => {
  if (data === 'out') return leave()
  access = null
  if (session.state === 'out') void resume()
  else void accessToken().then(enter, () => undefined)
}

/** Signs in from the cookie when the page starts. Waits if the API is unreachable. */
export async function resume(): Promise<void> {
  for (;;)
    try {
      const token = await renewed()
      return token === null ? change({ state: 'out' }) : await enter(token)
    } catch (error) {
      const away = error instanceof ApiProblem && (error.status === 0 || error.status >= 500)
      if (!away) return change({ state: 'out' })
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
}

/**
 * Exchanges the cookie for a new access token. Null: there is no cookie, or its session has ended. Throws if the API
 * cannot tell.
 */
async function renewed(): Promise<string | null> {
  const response = await post('/v1/auth/refresh', {})
  if (response.ok) return keep((await response.json()) as Tokens)
  if (response.status >= 500 || response.status === 429) throw await readProblem(response)
  return null
}

async function renew(): Promise<string> {
  const token = await renewed()
  if (session.state !== 'in' && session.state !== 'expired') throw new Error('Not signed in')
  if (token !== null) {
    const { email } = session.me
    const me = await readMe(token)
    // A different user has signed in, in another tab.
    if (me.email !== email) location.reload()
    return token
  }
  change({ state: 'expired', me: session.me })
  return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
}

/** Returns an access token for the next request. Waits for the sign-in if the session has ended. */
export async function accessToken(): Promise<string> {
  if (access && access.until > Date.now() + 20_000) return access.token
  renewing ??= renew().finally(() => {
    renewing = null
  })
  return renewing
}

/**
 * Reloads the user after the API refused permission: the role may have changed since the sign-in, and the pages must
 * reflect it.
 */
export async function lookAgain(token: string): Promise<void> {
  const me = await readMe(token).catch(() => null)
  if (me && session.state === 'in' && session.me.email === me.email && session.me.role !== me.role)
    change({ state: 'in', me })
}

/** Drops a token that the API rejected. The next request gets another one. */
export function forgetAccessToken(token: string): void {
  if (access?.token === token) access = null
}
