import { LRUCache } from 'lru-cache'
import type { Question, VerifyResult } from './verify.ts'

/**
 * Answers about messages in which nothing but the author's domain matters. They hold as long as everything the DNS said for
 * them is kept, so they are never older than an answer found out anew. What depends on more than the client, the sender's
 * and the author's domain (macros, RFC 7208 §7) is not kept.
 */

const maxKept = 20_000
const nothing: VerifyResult = { findings: {}, cuts: [], forged: 0 }
/** Below it is not worth the memory. */
const leastMs = 1_000

export class Remembered {
  readonly #answers = new LRUCache<string, VerifyResult>({ max: maxKept })

  find(question: Question): VerifyResult | undefined {
    if (question.author !== undefined && question.checks.length === 0) return nothing
    const key = keyOf(question)
    return key === undefined ? undefined : this.#answers.get(key)
  }

  keep(question: Question, result: VerifyResult): void {
    const { holdsMs = 0, findings, cuts, forged } = result
    const key = holdsMs >= leastMs && cuts.length === 0 ? keyOf(question) : undefined
    if (key !== undefined) this.#answers.set(key, { findings, cuts, forged }, { ttl: holdsMs })
  }
}

/** `undefined`: it has to be found out each time. RFC 7208 §2.4: HELO counts for the null sender alone. */
function keyOf({ sender, ip, helo, checks, found, relay, author }: Question): string | undefined {
  if (author === undefined || found) return undefined
  const identity = sender === '' ? `helo ${helo}` : sender.slice(sender.lastIndexOf('@'))
  return `${relay === true} ${checks} ${author} ${ip} ${identity}`
}
