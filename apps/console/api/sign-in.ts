import type { Role } from '@postern/contract/roles.ts'
import { useSyncExternalStore } from 'react'
import { answered, unanswered } from './api-reachable.ts'
import { ApiProblem, readProblem } from './problem.ts'

/**
 * Who is signed in. The access token lives in this module's memory only. What renews it is in a cookie that no script can
 * read (HttpOnly, SameSite=Strict, for /v1/auth alone), so a new tab and a pasted link are signed in, and a sign-out counts
 * for all tabs; they tell each other.
 *
 * When the session cannot be renewed, nothing is thrown away: requests wait, the sign-in appears above the page, and a
 * half-filled form is still there afterwards.
 */

export type Me = { email: string; role: Role }
export type SignInState =
  | { state: 'starting' }
  | { state: 'out' }
  | { state: 'in'; me: Me }
  /** Was signed in; the page stays as it is until somebody signs in again. */
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

/** Throws an ApiProblem: 401 wrong e-mail or password, 429 too many tries, 0 no answer. */
export async function signIn(email: string, password: string): Promise<void> {
  const response = await post('/v1/auth/token', { email, password })
  if (!response.ok) throw await readProblem(response)
  const token = keep((await response.json()) as Tokens)
  await enter(token)
  tabs.postMessage('in')
}

/** Somebody else over a page of the first one must not send the half-filled form of the first. */
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
  // A sign-out that the API did not hear would leave the cookie: then the next page is signed in again.
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

/** At the start of the page: the cookie says who it is; an API that is away is waited for. */
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

/** A new access token for the cookie; null: there is none, or its session has ended. Throws when the API cannot say. */
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
    // Somebody else has signed in, in another tab.
    if (me.email !== email) location.reload()
    return token
  }
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
