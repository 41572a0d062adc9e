import { addSigningKey, listSigningKeys, type SigningKey } from '@postern/store/control/identity.ts'
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose'
import type { Dependencies } from '../dependencies.ts'
import { ProblemError } from '../problem.ts'

/**
 * Ed25519 keys that sign JWTs. They are made at the first start, stored sealed, and rotated. A retired key verifies
 * tokens for one more day; within it, every instance has read the keys again.
 */

const issuer = 'postern'
/** After this time the keys are read again, because another instance may have rotated or dropped one. */
const maxAgeMs = 5 * 60_000
/** Tokens whose claims are remembered. */
const maxVerified = 1_000
export const audiences = { api: 'postern-api', worker: 'postern-worker' } as const

type Loaded = {
  kid: string
  publicKey: CryptoKey
  privateKey: CryptoKey
  jwk: JWK
  createdAt: number
  retired: boolean
}
type KeyDependencies = Pick<Dependencies, 'control' | 'seal' | 'now' | 'newId'>

export class TokenKeys {
  readonly #deps: KeyDependencies
  #loaded: Loaded[] = []
  #loadedAt = 0
  /** Tokens whose signature was verified, with their claims: a worker sends the same one many times. */
  readonly #verified = new Map<string, { kid: string | undefined; claims: JWTPayload }>()

  constructor(parts: KeyDependencies) {
    this.#deps = parts
  }

  async sign(claims: JWTPayload, audience: string, seconds: number): Promise<string> {
    const key = await this.#signing()
    const now = Math.floor(this.#deps.now() / 1000)
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'EdDSA', kid: key.kid, typ: 'JWT' })
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt(now)
      .setExpirationTime(now + seconds)
      .sign(key.privateKey)
  }

  /** Throws 401. */
  async verify(token: string, audience: string[]): Promise<JWTPayload> {
    if (this.#isOld()) await this.#load()
    const known = this.#knownClaims(token, audience)
    if (known) return known
    try {
      const { payload, protectedHeader } = await jwtVerify(token, ({ kid }) => this.#byKid(kid), {
        issuer,
        audience,
        algorithms: ['EdDSA'],
        currentDate: new Date(this.#deps.now()),
        requiredClaims: ['exp', 'sub'],
      })
      if (this.#verified.size >= maxVerified) this.#verified.clear()
      this.#verified.set(token, { kid: protectedHeader.kid, claims: payload })
      return payload
    } catch (error) {
      const expired = error instanceof Error && 'code' in error && error.code === 'ERR_JWT_EXPIRED'
      throw new ProblemError(
        401,
        expired ? 'The access token has expired. Refresh it.' : 'The access token is not valid.',
      )
    }
  }

  /** Claims of a token that was verified before, has not expired, and whose key is still there. */
  #knownClaims(token: string, audience: string[]): JWTPayload | undefined {
    const known = this.#verified.get(token)
    if (!known) return undefined
    const { kid, claims } = known
    const isValid =
      Number(claims.exp) > Math.floor(this.#deps.now() / 1000) &&
      audience.includes(String(claims.aud)) &&
      this.#loaded.some((key) => key.kid === kid)
    return isValid ? claims : undefined
  }

  async jwks(): Promise<{ keys: JWK[] }> {
    await this.#signing()
    await this.#load()
    return { keys: this.#loaded.map(({ jwk, kid }) => ({ ...jwk, kid, alg: 'EdDSA', use: 'sig' })) }
  }

  rotate(): Promise<string> {
    return this.#add(false)
  }

  /** `onlyFirst`: leaves a key that another instance made meanwhile. */
  async #add(onlyFirst: boolean): Promise<string> {
    const { publicKey, privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
    const kid = this.#deps.newId()
    const key = {
      kid,
      publicKey: JSON.stringify(await exportJWK(publicKey)),
      privateKey: await this.#deps.seal.seal(JSON.stringify(await exportJWK(privateKey)), `signing-key/${kid}`),
      createdAt: this.#deps.now(),
    }
    await this.#deps.control.transaction(async (queries) => {
      const keys = onlyFirst ? await listSigningKeys(queries) : []
      if (keys.every(({ retiredAt }) => retiredAt !== null)) await addSigningKey(queries, key)
    })
    await this.#load()
    return kid
  }

  /** Returns the age of the current signing key in milliseconds. */
  async age(): Promise<number> {
    return this.#deps.now() - (await this.#signing()).createdAt
  }

  async #signing(): Promise<Loaded> {
    let key = this.#loaded.find(({ retired }) => !retired)
    if (!key || this.#isOld()) await this.#load()
    key = this.#loaded.find(({ retired }) => !retired)
    if (!key) await this.#add(true)
    key = this.#loaded.find(({ retired }) => !retired)
    if (!key) throw new Error('no signing key')
    return key
  }

  async #byKid(kid: string | undefined): Promise<CryptoKey> {
    const find = () => this.#loaded.find((key) => key.kid === kid)
    if (!find()) await this.#load()
    const key = find()
    if (!key) throw new Error('unknown key')
    return key.publicKey
  }

  /** The clock may have been set back. */
  #isOld(): boolean {
    return this.#loaded.length > 0 && Math.abs(this.#deps.now() - this.#loadedAt) >= maxAgeMs
  }

  async #load(): Promise<void> {
    this.#loadedAt = this.#deps.now()
    const stored = await listSigningKeys(this.#deps.control)
    this.#loaded = await Promise.all(stored.map((key) => this.#open(key)))
  }

  async #open({ kid, publicKey, privateKey, createdAt, retiredAt }: SigningKey): Promise<Loaded> {
    const jwk = JSON.parse(publicKey) as JWK
    const secret = JSON.parse(await this.#deps.seal.open(privateKey, `signing-key/${kid}`)) as JWK
    return {
      kid,
      jwk,
      createdAt,
      retired: retiredAt !== null,
      publicKey: (await importJWK(jwk, 'EdDSA')) as CryptoKey,
      privateKey: (await importJWK(secret, 'EdDSA')) as CryptoKey,
    }
  }
}
