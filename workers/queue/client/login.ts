import { ConnectionFailure } from './connection-failure.ts'
import type { Reply } from './reply.ts'

/** How we log in at a next host (RFC 4954): PLAIN (RFC 4616), then LOGIN. Under TLS only, so neither is weaker than the other. */

export const loginMechanisms = ['PLAIN', 'LOGIN'] as const
export type LoginMechanism = (typeof loginMechanisms)[number]

type Login = { user: string; secret: string }

/** `AUTH PLAIN LOGIN`, and `AUTH=PLAIN LOGIN` as servers said it before RFC 4954. */
export function offeredMechanisms(extensions: ReadonlyMap<string, string>): Set<string> {
  return new Set((extensions.get('AUTH') ?? '').split(/[ =]+/).filter(Boolean))
}

export function notOffered(host: string, offered: ReadonlySet<string>): string {
  const offer = offered.size > 0 ? `AUTH ${[...offered].join(' ').slice(0, 200)}` : 'no AUTH'
  return `${host} offers neither AUTH PLAIN nor LOGIN, but ${offer}`
}

/**
 * Whether another mechanism may do better: 5xx is this mechanism's refusal (535; 504, 534 and 538 say that it is not the right
 * one; 530 asks for something else first). 4xx, as 454, is for now, and 421 ends the session.
 */
export function isAboutMechanism({ code }: Reply): boolean {
  return code >= 500
}

/** Mechanisms that this host refused, with its words. */
export type Refusals = ReadonlyMap<LoginMechanism, string>

/** The server ended the session with its refusal, as some do: the next mechanism is tried on a new connection. */
export class LoginCutShort extends ConnectionFailure {
  readonly refusals: Refusals
  constructor({ message, reply }: ConnectionFailure, refusals: Refusals) {
    super('auth', message, reply)
    this.refusals = refusals
  }
}

export function loginRefused(host: string, user: string, refusals: Refusals): ConnectionFailure {
  const answers = [...refusals].map(([mechanism, text]) => `AUTH ${mechanism}: ${text}`)
  return new ConnectionFailure('auth', `${host} refuses the login of ${user}: ${answers.join('; ')}`)
}

export function plainResponse({ user, secret }: Login): string {
  return base64(`\0${user}\0${secret}`)
}

/** What no reply may repeat into an event. */
export function secretsOf(login: Login): string[] {
  return [plainResponse(login), base64(login.secret), login.secret].filter(Boolean)
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
