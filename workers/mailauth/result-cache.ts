import { LRUCache } from 'lru-cache'
import type { Question, VerifyResult } from './verify.ts'

/**
 * Caches results for messages in which only the author's domain matters. A result is valid while all DNS answers that
 * it used are cached, so it is never older than a new result would be. Results that depend on more than the client, the
 * sender's domain and the author's domain (macros, RFC 7208 §7) are not cached.
 */

const maxKept = 20_000
/** Nothing was found and nothing has to be left out. */
export const emptyResult: VerifyResult = { findings: {}, cuts: [], forged: 0 }
/** A shorter time is not worth the memory. */
const leastMs = 1_000

export class Remembered {
  readonly #answers = new LRUCache<string, VerifyResult>({ max: maxKept })

  find(question: Question): VerifyResult | undefined {
    if (question.author !== undefined && question.checks.length === 0) return emptyResult
    const key = keyOf(question)
    return key === undefined ? undefined : this.#answers.get(key)
  }

  keep(question: Question, result: VerifyResult): void {
    const { holdsMs = 0, findings, cuts, forged } = result
    const key = holdsMs >= leastMs && cuts.length === 0 ? keyOf(question) : undefined
    if (key !== undefined) this.#answers.set(key, { findings, cuts, forged }, { ttl: holdsMs })
  }
}

/**
 * Returns the cache key; `undefined` if the result cannot be cached. RFC 7208 §2.4: HELO matters only for the null
 * sender.
 */
function keyOf({ sender, ip, helo, checks, found, relay, author }: Question): string | undefined {
  if (author === undefined || found) return undefined
  const identity = sender === '' ? `helo ${helo}` : sender.slice(sender.lastIndexOf('@'))
  return `${relay === true} ${checks} ${author} ${ip} ${identity}`
}
