import { createHmac, randomBytes } from 'node:crypto'
import { verify } from '@node-rs/argon2'
import type { Account } from '@postern/contract/directory.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { LRUCache } from 'lru-cache'

/**
 * Checks passwords against argon2id hashes, off the event loop. An unknown user costs what a known one does, so neither
 * answer nor time says which logins exist. A login that succeeded is remembered for a while under a keyed hash of
 * everything that made it succeed: a changed password, or another account, is another key and checked afresh.
 * An address from which a login failed stands in a line of its own, which is served one at a time with what the machine has
 * left over: those who guess wait for each other, and nobody waits for them.
 */

export type CredentialsResult = 'valid' | 'invalid' | 'not-known'

export type CredentialsOptions = {
  /** Checks at the same time. */
  concurrent?: number
  /** Checks that may wait for their turn in each line; past it the answer is `not-known`. */
  waiting?: number
  rememberMs?: number
  /** Where the hash is computed; in Node's thread pool, which it shares with the disk, without it. */
  check?: PasswordCheck
}

/** `isSuspect`: it may take as long as everything else on the machine wants. */
export type PasswordCheck = (hash: string, password: string, isSuspect: boolean) => Promise<boolean>

/** Whom the check is for: the policy in force, and the client's address. */
export type Asking = { policy: Policy; address: string }

/** A check takes 19 MiB while it runs; more than this at once serves nobody. */
const maxThreads = 16

/** 16 octets of salt and 32 of hash that no password is known to have made. */
const noSalt = 'cG9zdGVybi1uby11c2VyLQ'
const noHash = Buffer.alloc(32, 0xa5).toString('base64').replace(/=+$/, '')
const parameters = /^\$argon2id\$v=19\$m=\d{1,8},t=\d{1,4},p=\d{1,3}\$/

/** Addresses that failed are remembered so long, and so many of them. */
const suspectMs = 600_000
const maxSuspects = 50_000

export class Credentials {
  readonly #key = randomBytes(32)
  readonly #recent: LRUCache<string, true>
  readonly #suspects = new LRUCache<string, true>({ max: maxSuspects, ttl: suspectMs })
  readonly #check: PasswordCheck
  readonly #usual: Line
  readonly #last: Line

  constructor({ concurrent = 2, waiting = 500, rememberMs = 300_000, check = inPool }: CredentialsOptions = {}) {
    this.#usual = new Line(concurrent, waiting)
    this.#last = new Line(1, waiting)
    this.#check = check
    this.#recent = new LRUCache({ max: 10_000, ttl: rememberMs })
  }

  /** Never rejects. `account`: whom the login means, `null` for nobody. */
  async verify(account: Account | null, password: string, { policy, address }: Asking): Promise<CredentialsResult> {
    const hash = account?.secretHash ?? hashOfNobody(policy)
    const key = this.#keyOf(hash, account?.address ?? '', password)
    if (account && this.#recent.has(key)) return 'valid'
    const isSuspect = this.#suspects.has(address)
    const line = isSuspect ? this.#last : this.#usual
    const turn = line.turn()
    if (!turn) return 'not-known'
    await turn
    try {
      const right = await this.#check(hash, password, isSuspect)
      if (!right || !account) {
        this.#suspects.set(address, true)
        return 'invalid'
      }
      this.#suspects.delete(address)
      this.#recent.set(key, true)
      return 'valid'
    } catch {
      return 'not-known'
    } finally {
      line.done()
    }
  }

  /** From now on so many checks run at the same time; `advanced.minThreads`. */
  set concurrent(checks: number) {
    this.#usual.admit(Math.max(1, Math.min(checks, maxThreads)))
  }

  #keyOf(...parts: string[]): string {
    const mac = createHmac('sha256', this.#key)
    for (const part of parts) mac.update(`${part.length}:`).update(part)
    return mac.digest('base64')
  }
}

const inPool: PasswordCheck = (hash, password) => verify(hash, password)

/** A hash with the cost of those in use that no password matches. */
function hashOfNobody({ directory }: Policy): string {
  for (const { secretHash } of directory.accounts.values()) {
    const found = parameters.exec(secretHash)
    if (found) return `${found[0]}${noSalt}$${noHash}`
  }
  return `$argon2id$v=19$m=19456,t=2,p=1$${noSalt}$${noHash}`
}

/** First come, first served, so many at once. */
class Line {
  #atOnce: number
  readonly #maxWaiting: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(atOnce: number, maxWaiting: number) {
    this.#atOnce = atOnce
    this.#maxWaiting = maxWaiting
  }

  /** Resolves when it is one's turn, which `done` ends; absent: too many wait. */
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

  admit(atOnce: number): void {
    this.#atOnce = atOnce
    this.#begin()
  }

  #begin(): void {
    while (this.#running < this.#atOnce) {
      const begin = this.#waiting.shift()
      if (!begin) return
      this.#running++
      begin()
    }
  }
}
