import { createHmac, randomBytes } from 'node:crypto'
import { verify } from '@node-rs/argon2'
import type { Account } from '@postern/contract/directory.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { LRUCache } from 'lru-cache'

/**
 * Checks passwords against argon2id hashes, off the event loop. An unknown user costs what a known one does, so neither
 * answer nor time says which logins exist. A login that succeeded is remembered for a while under a keyed hash of
 * everything that made it succeed: a changed password, or another account, is another key and checked afresh.
 */

export type CredentialsResult = 'valid' | 'invalid' | 'not-known'

export type CredentialsOptions = {
  /** Checks at the same time. */
  concurrent?: number
  /** Checks that may wait for their turn; past it the answer is `not-known`. */
  waiting?: number
  rememberMs?: number
  /** Where the hash is computed; in Node's thread pool, which it shares with the disk, without it. */
  check?: (hash: string, password: string) => Promise<boolean>
}

/** A check takes 19 MiB while it runs; more than this at once serves nobody. */
const mostThreads = 16

/** 16 octets of salt and 32 of hash that no password is known to have made. */
const noSalt = 'cG9zdGVybi1uby11c2VyLQ'
const noHash = Buffer.alloc(32, 0xa5).toString('base64').replace(/=+$/, '')
const parameters = /^\$argon2id\$v=19\$m=\d{1,8},t=\d{1,4},p=\d{1,3}\$/

export class Credentials {
  readonly #key = randomBytes(32)
  readonly #recent: LRUCache<string, true>
  readonly #check: (hash: string, password: string) => Promise<boolean>
  #concurrent: number
  readonly #mostWaiting: number
  readonly #queue: (() => void)[] = []
  #running = 0

  constructor({ concurrent = 2, waiting = 500, rememberMs = 300_000, check = verify }: CredentialsOptions = {}) {
    this.#concurrent = concurrent
    this.#mostWaiting = waiting
    this.#check = check
    this.#recent = new LRUCache({ max: 10_000, ttl: rememberMs })
  }

  /** Never rejects. `account`: whom the login means, `null` for nobody. */
  async verify(account: Account | null, password: string, policy: Policy): Promise<CredentialsResult> {
    const hash = account?.secretHash ?? hashOfNobody(policy)
    const key = this.#keyOf(hash, account?.address ?? '', password)
    if (account && this.#recent.has(key)) return 'valid'
    if (this.#queue.length >= this.#mostWaiting) return 'not-known'
    if (this.#running >= this.#concurrent) await new Promise<void>((turn) => this.#queue.push(turn))
    else this.#running++
    try {
      const right = await this.#check(hash, password)
      if (!right || !account) return 'invalid'
      this.#recent.set(key, true)
      return 'valid'
    } catch {
      return 'not-known'
    } finally {
      this.#next()
    }
  }

  /** From now on so many checks run at the same time; `advanced.minThreads`. */
  set concurrent(checks: number) {
    this.#concurrent = Math.max(1, Math.min(checks, mostThreads))
    this.#begin()
  }

  #next(): void {
    this.#running--
    this.#begin()
  }

  #begin(): void {
    while (this.#running < this.#concurrent) {
      const turn = this.#queue.shift()
      if (!turn) return
      this.#running++
      turn()
    }
  }

  #keyOf(...parts: string[]): string {
    const mac = createHmac('sha256', this.#key)
    for (const part of parts) mac.update(`${part.length}:`).update(part)
    return mac.digest('base64')
  }
}

/** A hash with the cost of those in use that no password matches. */
function hashOfNobody({ directory }: Policy): string {
  for (const { secretHash } of directory.accounts.values()) {
    const found = parameters.exec(secretHash)
    if (found) return `${found[0]}${noSalt}$${noHash}`
  }
  return `$argon2id$v=19$m=19456,t=2,p=1$${noSalt}$${noHash}`
}
