import { createHmac, randomBytes } from 'node:crypto'
import { verify } from '@node-rs/argon2'
import type { Account } from '@postern/contract/directory.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { LRUCache } from 'lru-cache'

/**
 * Checks passwords against argon2id hashes, off the event loop. An unknown user costs what a known one does, so neither
 * answer nor time says which logins exist. A login that succeeded is remembered for a while under a keyed hash of
 * everything that made it succeed: a changed password, or another account, is another key and is checked again.
 * Addresses from which a login failed have a queue of their own, served one check at a time at the lowest priority: clients that
 * guess passwords wait for each other, and no other client waits for them.
 */

export type CredentialsResult = 'valid' | 'invalid' | 'not-known'

export type CredentialsOptions = {
  /** Checks at the same time. */
  concurrent?: number
  /** Checks that may wait in each queue; past it the answer is `not-known`. */
  waiting?: number
  rememberMs?: number
  /** Computes the hash. Default: in Node's thread pool, which file operations use as well. */
  check?: PasswordCheck
}

/** `isSuspect`: a login from this address has failed, so the check may take as long as it likes. */
export type PasswordCheck = (hash: string, password: string, isSuspect: boolean) => Promise<boolean>

/** The policy in force, and the client's address. */
export type CheckContext = { policy: Policy; address: string }

/** A check takes 19 MiB while it runs; more than this at the same time help nobody. */
const maxThreads = 16

/** 16 bytes of salt and 32 of hash that belong to no known password. */
const noSalt = 'cG9zdGVybi1uby11c2VyLQ'
const noHash = Buffer.alloc(32, 0xa5).toString('base64').replace(/=+$/, '')
const parameters = /^\$argon2id\$v=19\$m=\d{1,8},t=\d{1,4},p=\d{1,3}\$/

/** How long an address from which a login failed is remembered, and how many of them. */
const suspectMs = 600_000
const maxSuspects = 50_000

export class Credentials {
  readonly #key = randomBytes(32)
  readonly #recent: LRUCache<string, true>
  readonly #suspects = new LRUCache<string, true>({ max: maxSuspects, ttl: suspectMs })
  readonly #check: PasswordCheck
  readonly #first: CheckQueue
  readonly #last: CheckQueue

  constructor({ concurrent = 2, waiting = 500, rememberMs = 300_000, check = inPool }: CredentialsOptions = {}) {
    this.#first = new CheckQueue(concurrent, waiting)
    this.#last = new CheckQueue(1, waiting)
    this.#check = check
    this.#recent = new LRUCache({ max: 10_000, ttl: rememberMs })
  }

  /** Never rejects. `account`: the account that the login names, or `null`. */
  async verify(
    account: Account | null,
    password: string,
    { policy, address }: CheckContext,
  ): Promise<CredentialsResult> {
    const hash = account?.secretHash ?? unmatchableHash(policy)
    const key = this.#keyOf(hash, account?.address ?? '', password)
    if (account && this.#recent.has(key)) return 'valid'
    const isSuspect = this.#suspects.has(address)
    const queue = isSuspect ? this.#last : this.#first
    const turn = queue.turn()
    if (!turn) return 'not-known'
    await turn
    try {
      const matches = await this.#check(hash, password, isSuspect)
      if (!matches || !account) {
        this.#suspects.set(address, true)
        return 'invalid'
      }
      this.#suspects.delete(address)
      this.#recent.set(key, true)
      return 'valid'
    } catch {
      return 'not-known'
    } finally {
      queue.done()
    }
  }

  /** How many checks may run at the same time: `advanced.minThreads`. */
  set concurrent(checks: number) {
    this.#first.limit(Math.max(1, Math.min(checks, maxThreads)))
  }

  #keyOf(...parts: string[]): string {
    const mac = createHmac('sha256', this.#key)
    for (const part of parts) mac.update(`${part.length}:`).update(part)
    return mac.digest('base64')
  }
}

const inPool: PasswordCheck = (hash, password) => verify(hash, password)

/** A hash that no password matches, and that costs as much as those in use. */
function unmatchableHash({ directory }: Policy): string {
  for (const { secretHash } of directory.accounts.values()) {
    const found = parameters.exec(secretHash)
    if (found) return `${found[0]}${noSalt}$${noHash}`
  }
  return `$argon2id$v=19$m=19456,t=2,p=1$${noSalt}$${noHash}`
}

/** First come, first served, a limited number at the same time. */
class CheckQueue {
  #concurrent: number
  readonly #maxWaiting: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(concurrent: number, maxWaiting: number) {
    this.#concurrent = concurrent
    this.#maxWaiting = maxWaiting
  }

  /** Resolves when the check may run; `done` ends it. `undefined`: too many wait. */
  turn(): Promise<void> | undefined {
    if (this.#waiting.length >= this.#maxWaiting) return undefined
    return new Promise((begin) => {
      this.#waiting.push(begin)
      this.#begin()
    })
  }

  done(): void {
    this.#running--
    this.#begin()
  }

  limit(concurrent: number): void {
    this.#concurrent = concurrent
    this.#begin()
  }

  #begin(): void {
    while (this.#running < this.#concurrent) {
      const begin = this.#waiting.shift()
      if (!begin) return
      this.#running++
      begin()
    }
  }
}
