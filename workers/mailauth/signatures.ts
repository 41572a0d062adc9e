import type { Findings } from '@postern/contract/mailauth.ts'
import type { Field } from './header.ts'
import { CorrectedVerifier, parsedHeader } from './mailauth-corrections.ts'
import type { Resolve } from './resolver.ts'

/**
 * Checks the DKIM signatures (RFC 6376, 8301, 8463) of one message, which is read once and never kept in memory as a
 * whole.
 */

export type DkimFinding = NonNullable<Findings['dkim']>[number]

/** The input for DMARC: the domains that passed, and the From addresses. */
export type Signed = {
  results: DkimFinding[]
  /** Domains of signatures that pass. `unsigned`: bytes of the body that a signature with l= does not cover. */
  passed: { domain: string; unsigned: number }[]
  /** The addresses in From, and the number of From fields. */
  from: string[]
  fromFields: number
}

/** If there are more fields than this, or a longer line, no signature is verified: it would occupy a thread for seconds. */
const maxFields = 2_000
const longestLine = 1 << 20
/** RSA keys with fewer bits pass but are reported: RFC 8301 §3.2 asks signers for 2048. */
const strongBits = 2048

export class Signatures {
  readonly #verifier: CorrectedVerifier
  readonly #signed: boolean
  #line = 0
  /** Why nothing is verified. */
  #given: string | undefined

  private constructor(verifier: CorrectedVerifier, { signed, given }: { signed: boolean; given: string | undefined }) {
    this.#verifier = verifier
    this.#signed = signed
    this.#given = given
  }

  /** `whole`: `fields` holds the whole header. If `wanted` is false, only From is read. */
  static async begin(
    { fields, header, whole, wanted }: { fields: readonly Field[]; header: Buffer; whole: boolean; wanted: boolean },
    resolve: Resolve,
  ): Promise<Signatures> {
    const verifier = new CorrectedVerifier(resolve, Date.now())
    const signed = fields.some(({ name }) => name === 'dkim-signature')
    const given = !whole || fields.length > maxFields ? 'the header is too large' : undefined
    const verifies = wanted && given === undefined
    const read = verifies ? fields : fields.filter(({ name }) => name === 'from').slice(0, 10)
    await verifier.messageHeaders(parsedHeader(read, header))
    return new Signatures(verifier, { signed, given: wanted ? given : 'not wanted' })
  }

  /** Whether the message has a signature. */
  get signed(): boolean {
    return this.#signed
  }

  get from(): Pick<Signed, 'from' | 'fromFields'> {
    return { from: this.#verifier.headerFrom, fromFields: this.#verifier.fromFields }
  }

  async body(chunk: Buffer): Promise<void> {
    if (!this.#signed || this.#given !== undefined || chunk.length === 0) return
    const lf = chunk.lastIndexOf(10)
    const first = chunk.indexOf(10)
    if (this.#line + (first === -1 ? chunk.length : first) > longestLine) {
      this.#given = 'a line is too long'
      return
    }
    this.#line = lf === -1 ? this.#line + chunk.length : chunk.length - lf - 1
    await this.#verifier.nextChunk(chunk)
  }

  async end(): Promise<Signed> {
    if (!this.#signed) return { results: [{ result: 'none' }], passed: [], ...this.from }
    if (this.#given !== undefined)
      return { results: [{ result: 'neutral', because: this.#given }], passed: [], ...this.from }
    await this.#verifier.finalChunk()
    const { results } = this.#verifier
    return {
      results: results.slice(0, 20).map(findingOf),
      passed: results
        .filter(({ status }) => status.result === 'pass')
        .map(({ signingDomain = '', status }) => ({ domain: signingDomain, unsigned: status.underSized ?? 0 })),
      ...this.from,
    }
  }
}

type Result = CorrectedVerifier['results'][number]

function findingOf({ signingDomain, selector, modulusLength, status }: Result): DkimFinding {
  const notes = [
    status.comment,
    status.policy?.['dkim-rules'],
    status.testing ? 'the key is in testing mode' : undefined,
    status.underSized ? `${status.underSized} bytes of the body are not signed` : undefined,
    status.result === 'pass' && modulusLength && modulusLength < strongBits ? `weak key of ${modulusLength} bits` : '',
  ].filter(Boolean)
  return {
    result: status.result as DkimFinding['result'],
    ...(signingDomain ? { domain: cut(signingDomain, 255) } : {}),
    ...(selector ? { selector: cut(selector, 255) } : {}),
    ...(notes.length > 0 ? { because: cut(notes.join('; '), 300) } : {}),
  }
}

function cut(text: string, length: number): string {
  return text.slice(0, length).replace(/[\p{C}\u2028\u2029]/gu, '?')
}
