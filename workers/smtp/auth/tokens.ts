import type { Settings } from '@postern/contract/settings.ts'
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey, jwtVerify } from 'jose'

/**
 * Checks access tokens of the issuer that advanced.oauth names: signature, issuer, audience, time, and whose they are. The
 * issuer's keys are read ahead and kept; a login waits for them only when there are none yet. An issuer that does not
 * answer makes a token `not-known`, never good and never wrong.
 */

export type Issuer = Exclude<Settings['advanced']['oauth'], 'off'>

/** GET, and the JSON that came. Rejects with why there is none; it is the caller's affair that nobody within is reached. */
export type FetchJson = (url: string) => Promise<unknown>

export type TokenResult =
  | { result: 'valid'; email: string }
  | { result: 'invalid' | 'not-known'; because: string; email?: string }

/** Keys are asked for again after this time, in the background. */
const freshMs = 600_000
/** A token with a key that is not known may ask for newer keys, but no more often than this; nor may failures. */
const againMs = 30_000
/** Never `none`, and no algorithm with a secret that two share. */
const algorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519']
const toleranceSeconds = 30

type Keys = { find: JWTVerifyGetKey; at: number }

export class Tokens {
  readonly #fetchJson: FetchJson
  readonly #now: () => number
  #issuer: Issuer | undefined
  #keys: Keys | undefined
  #asking: Promise<void> | undefined
  #askedAt = Number.NEGATIVE_INFINITY
  #failure = ''

  constructor(fetchJson: FetchJson, now: () => number = Date.now) {
    this.#fetchJson = fetchJson
    this.#now = now
  }

  /** These settings are in force: another issuer has other keys. Returns at once. */
  follow(oauth: Issuer | 'off'): void {
    const issuer = oauth === 'off' ? undefined : oauth
    if (JSON.stringify(issuer) === JSON.stringify(this.#issuer)) return
    this.#issuer = issuer
    this.#keys = undefined
    this.#asking = undefined
    this.#askedAt = Number.NEGATIVE_INFINITY
    void this.#refresh()
  }

  /** Never rejects. */
  async verify(token: string): Promise<TokenResult> {
    if (!this.#issuer) return { result: 'invalid', because: 'No issuer of tokens is named in advanced.oauth.' }
    if (!this.#keys) await this.#refresh()
    else if (this.#now() - this.#keys.at > freshMs) void this.#refresh()
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
        return { result: 'invalid', because: 'The token has no e-mail claim.' }
      if (verified === false)
        return { result: 'invalid', because: 'The issuer has not verified the e-mail address.', email }
      return { result: 'valid', email }
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return 'unknown key'
      const code = error instanceof errors.JOSEError ? error.code : 'no token'
      return { result: 'invalid', because: `The token is not good: ${code}.` }
    }
  }

  /** One question however many wait for it, and none again too soon. Never rejects. */
  #refresh(): Promise<void> {
    const issuer = this.#issuer
    if (!issuer) return Promise.resolve()
    if (this.#asking || this.#now() - this.#askedAt < againMs) return this.#asking ?? Promise.resolve()
    this.#askedAt = this.#now()
    const asking = this.#ask(issuer).then(
      (keys) => {
        if (this.#issuer === issuer) this.#keys = keys
      },
      (error: Error) => {
        this.#failure = error.message.slice(0, 200)
      },
    )
    const ended = asking.finally(() => {
      if (this.#asking === ended) this.#asking = undefined
    })
    this.#asking = ended
    return ended
  }

  async #ask({ issuer, jwksUri }: Issuer): Promise<Keys> {
    const uri = jwksUri ?? (await this.#discover(issuer))
    // What is no key set is refused here with an error of its own.
    return { find: createLocalJWKSet((await this.#fetchJson(uri)) as JSONWebKeySet), at: this.#now() }
  }

  /** OpenID Connect Discovery §4. */
  async #discover(issuer: string): Promise<string> {
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const said = (await this.#fetchJson(url)) as { issuer?: unknown; jwks_uri?: unknown } | null
    if (said?.issuer !== issuer) throw new Error('the OpenID configuration is one of another issuer')
    if (typeof said.jwks_uri !== 'string' || !URL.canParse(said.jwks_uri))
      throw new Error('the OpenID configuration names no keys')
    return said.jwks_uri
  }
}
