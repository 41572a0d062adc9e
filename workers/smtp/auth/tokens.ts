import type { Settings } from '@postern/contract/settings.ts'
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey, jwtVerify } from 'jose'

/**
 * Checks access tokens of the issuer that advanced.oauth names: signature, issuer, audience, validity period, and the
 * account. The issuer's keys are fetched ahead and cached; a login waits for them only when there are none yet. While the
 * issuer does not answer, tokens are `not-known`: neither accepted nor refused.
 */

export type Issuer = Exclude<Settings['advanced']['oauth'], 'off'>

/** GET a JSON document. Rejects with the reason; the caller checks that the host may be reached. */
export type FetchJson = (url: string) => Promise<unknown>

export type TokenResult =
  | { result: 'valid'; email: string }
  | { result: 'invalid' | 'not-known'; because: string; email?: string }

/** Keys are fetched again after this time, in the background. */
const freshMs = 600_000
/** An unknown key, or a failure, fetches the keys again, but no more often than this. */
const againMs = 30_000
/** Never `none`, and no algorithm with a shared secret. */
const algorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519']
const toleranceSeconds = 30

type Keys = { find: JWTVerifyGetKey; at: number }

export class Tokens {
  readonly #fetchJson: FetchJson
  readonly #now: () => number
  #issuer: Issuer | undefined
  #keys: Keys | undefined
  #refreshing: Promise<void> | undefined
  #refreshedAt = Number.NEGATIVE_INFINITY
  #failure = ''

  constructor(fetchJson: FetchJson, now: () => number = Date.now) {
    this.#fetchJson = fetchJson
    this.#now = now
  }

  /** The settings in force. Another issuer has other keys. Returns at once. */
  follow(oauth: Issuer | 'off'): void {
    const issuer = oauth === 'off' ? undefined : oauth
    if (JSON.stringify(issuer) === JSON.stringify(this.#issuer)) return
    this.#issuer = issuer
    this.#keys = undefined
    this.#refreshing = undefined
    this.#refreshedAt = Number.NEGATIVE_INFINITY
    void this.#refresh()
  }

  /** Never rejects. */
  async verify(token: string): Promise<TokenResult> {
    if (!this.#issuer) return { result: 'invalid', because: 'No issuer of tokens is named in advanced.oauth.' }
    if (!this.#keys) await this.#refresh()
    else if (!this.#isWithin(freshMs, this.#keys.at)) void this.#refresh()
    const first = await this.#check(token)
    if (first !== 'unknown key') return first
    await this.#refresh()
    const second = await this.#check(token)
    return second === 'unknown key' ? { result: 'invalid', because: 'The issuer has no such key.' } : second
  }

  async #check(token: string): Promise<TokenResult | 'unknown key'> {
    const [issuer, keys] = [this.#issuer, this.#keys]
    if (!issuer || !keys)
      return { result: 'not-known', because: `The keys of the issuer are not known: ${this.#failure}` }
    try {
      const { payload } = await jwtVerify(token, keys.find, {
        issuer: issuer.issuer,
        audience: issuer.audience,
        algorithms,
        requiredClaims: ['exp'],
        clockTolerance: toleranceSeconds,
        currentDate: new Date(this.#now()),
      })
      const { email, email_verified: verified } = payload
      if (typeof email !== 'string' || email.length > 320)
        return { result: 'invalid', because: 'The token has no email claim.' }
      if (verified === false)
        return { result: 'invalid', because: 'The issuer has not verified the email address.', email }
      return { result: 'valid', email }
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return 'unknown key'
      const code = error instanceof errors.JOSEError ? error.code : 'no token'
      return { result: 'invalid', because: `The token is not valid: ${code}.` }
    }
  }

  /** A time in the future is of before the clock was set back. */
  #isWithin(ms: number, since: number): boolean {
    const passed = this.#now() - since
    return passed >= 0 && passed < ms
  }

  /** One request for all that wait, and none again too soon. Never rejects. */
  #refresh(): Promise<void> {
    const issuer = this.#issuer
    if (!issuer) return Promise.resolve()
    if (this.#refreshing || this.#isWithin(againMs, this.#refreshedAt)) return this.#refreshing ?? Promise.resolve()
    this.#refreshedAt = this.#now()
    const refreshing = this.#fetchKeys(issuer).then(
      (keys) => {
        if (this.#issuer === issuer) this.#keys = keys
      },
      (error: Error) => {
        this.#failure = error.message.slice(0, 200)
      },
    )
    const ended = refreshing.finally(() => {
      if (this.#refreshing === ended) this.#refreshing = undefined
    })
    this.#refreshing = ended
    return ended
  }

  async #fetchKeys({ issuer, jwksUri }: Issuer): Promise<Keys> {
    const uri = jwksUri ?? (await this.#discover(issuer))
    // Throws when the document is no key set.
    return { find: createLocalJWKSet((await this.#fetchJson(uri)) as JSONWebKeySet), at: this.#now() }
  }

  /** OpenID Connect Discovery §4. */
  async #discover(issuer: string): Promise<string> {
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const found = (await this.#fetchJson(url)) as { issuer?: unknown; jwks_uri?: unknown } | null
    if (found?.issuer !== issuer) throw new Error('the OpenID configuration belongs to another issuer')
    if (typeof found.jwks_uri !== 'string' || !URL.canParse(found.jwks_uri))
      throw new Error('the OpenID configuration names no keys')
    return found.jwks_uri
  }
}
