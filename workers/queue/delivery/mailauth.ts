import type { Envelope } from '@postern/contract/envelope.ts'
import type { Findings } from '@postern/contract/mailauth.ts'
import { emptyResult } from '@postern/mailauth/result-cache.ts'
import { resultsField } from '@postern/mailauth/results-field.ts'
import type { Stored } from '@postern/mailauth/verifier.ts'
import type { Question, VerifyResult } from '@postern/mailauth/verify.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import type { SpoolReader } from '@postern/spool/spool.ts'
import type { IndexWriter } from '../index/index-writer.ts'
import { editsText, noEdits } from '../message/header-edits.ts'
import type { QueuedMessage } from '../message/message.ts'

/**
 * What is found out about where a message comes from, once, after it was accepted and before it is delivered: the threads
 * of the verifier do it, the header edits keep the result, and the index keeps the header edits for the next try.
 */
export type MessageMailauthOptions = {
  verifier: {
    known(question: Question): VerifyResult | undefined
    stored(question: Question, message: Stored): Promise<VerifyResult>
  }
  reader: Pick<SpoolReader, 'readBody'>
  hostname(): string
  record: RecordEvent
  indexWriter: IndexWriter
}

/** Bytes of a message that was read a moment ago, with others: it is not read again. */
const atHand = 65_536

export class MessageMailauth {
  readonly #options: MessageMailauthOptions

  constructor(options: MessageMailauthOptions) {
    this.#options = options
  }

  /** `undefined`: there is nothing to do. Never rejects: what cannot be found out stays out. */
  prepare(mail: QueuedMessage): Promise<void> | undefined {
    if (mail.headerEdits !== undefined || !mail.envelope.authentication || !mail.location) return undefined
    const question = this.#questionAbout(mail.envelope)
    const known = this.#options.verifier.known(question)
    if (!known) return this.#verify(mail, question).then((result) => this.#conclude(mail, question, result))
    this.#conclude(mail, question, known)
    return undefined
  }

  #questionAbout({ sender, client, authentication }: Envelope): Question {
    const { due = [], found, relay, author } = authentication ?? {}
    const { ip, helo } = client
    return { sender, ip, helo, hostname: this.#options.hostname(), checks: due, found, relay, author }
  }

  #conclude(
    mail: QueuedMessage,
    { hostname, checks, found }: Question,
    { findings, cuts, forged }: VerifyResult,
  ): void {
    const { record, indexWriter } = this.#options
    const { id, sender, client, authentication } = mail.envelope
    if (Object.keys(findings).length > 0 || forged > 0 || checks.length > 0)
      record('message.authenticated', { messageId: id, ...findings, ...(forged > 0 ? { forged } : {}) })
    const shown: Findings = { ...found, ...findings }
    const loggedIn = client.login !== undefined
    const lines = authentication?.field
      ? resultsField({ hostname, findings: shown, nullSender: sender === '', loggedIn })
      : ''
    mail.headerEdits = lines === '' && cuts.length === 0 ? noEdits : { lines, cuts }
    if (mail.recorded) indexWriter.add({ overlay: [{ n: mail.n, overlay: editsText(mail.headerEdits) }] })
  }

  /** A message that a thread could not deal with is read again for forged fields alone: they must not get through. */
  async #verify(mail: QueuedMessage, question: Question): Promise<VerifyResult> {
    const { verifier, reader } = this.#options
    try {
      const { location, bytes } = mail
      const message = bytes <= atHand ? await reader.readBody(location) : undefined
      return await verifier.stored(question, { location, bytes, message })
    } catch {
      const forgedOnly: Question = { ...question, checks: [] }
      // It may have been copied meanwhile, so its location is read again. Damage is found when it is delivered.
      return verifier.stored(forgedOnly, mail).catch(() => emptyResult)
    }
  }
}
