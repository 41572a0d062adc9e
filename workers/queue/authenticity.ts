import type { Examined, Question } from '@postern/authentication/examine.ts'
import { resultsField } from '@postern/authentication/results-field.ts'
import type { Findings } from '@postern/contract/authentication.ts'
import type { Record } from '@postern/runtime/worker.ts'
import type { Journal } from './journal.ts'
import type { Mail } from './mail.ts'
import { noOverlay, overlayText } from './overlay.ts'

/**
 * What is found out about where a message comes from, once, after it was accepted and before it is delivered: the threads
 * of the examiner do it, the overlay keeps what came of it, and the index keeps the overlay for the next try.
 */
export type AuthenticityOptions = {
  examiner: { stored(question: Question, place: Pick<Mail, 'location' | 'octets'>): Promise<Examined> }
  hostname(): string
  record: Record
  journal: Journal
}

const nothing: Examined = { findings: {}, cuts: [], forged: 0 }

export class Authenticity {
  readonly #options: AuthenticityOptions

  constructor(options: AuthenticityOptions) {
    this.#options = options
  }

  /** `undefined`: there is nothing to do. Never rejects: what cannot be found out stays out. */
  prepare(mail: Mail): Promise<void> | undefined {
    if (mail.overlay !== undefined || !mail.envelope.authentication || !mail.location) return undefined
    return this.#prepare(mail)
  }

  async #prepare(mail: Mail): Promise<void> {
    const { hostname, record, journal } = this.#options
    const { envelope } = mail
    const { field, due, found = {} } = envelope.authentication ?? { field: false, due: [] }
    const name = hostname()
    const { findings, cuts, forged } = await this.#examine(mail, name)
    if (Object.keys(findings).length > 0 || forged > 0 || due.length > 0)
      record('message.authenticated', { messageId: envelope.id, ...findings, ...(forged > 0 ? { forged } : {}) })
    const shown: Findings = { ...found, ...findings }
    const loggedIn = envelope.client.login !== undefined
    const lines = field
      ? resultsField({ hostname: name, findings: shown, nullSender: envelope.sender === '', loggedIn })
      : ''
    mail.overlay = lines === '' && cuts.length === 0 ? noOverlay : { lines, cuts }
    if (mail.recorded) journal.add({ overlay: [{ n: mail.n, overlay: overlayText(mail.overlay) }] })
  }

  /** A message that a thread could not deal with is read again for forged fields alone: they must not get through. */
  async #examine(mail: Mail, hostname: string): Promise<Examined> {
    const { examiner } = this.#options
    const { sender, client, authentication } = mail.envelope
    const { due = [], found, relay } = authentication ?? {}
    const question: Question = { sender, ip: client.ip, helo: client.helo, hostname, checks: due, found, relay }
    try {
      return await examiner.stored(question, mail)
    } catch {
      const forgedOnly: Question = { ...question, checks: [] }
      // It may have been copied on meanwhile: the place is read anew. A damaged one is found out when it is delivered.
      return examiner.stored(forgedOnly, mail).catch(() => nothing)
    }
  }
}
