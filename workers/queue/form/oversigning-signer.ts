/// <reference path="./dkim-signer.d.ts" />
import { DkimSigner, type Signature } from 'mailauth/lib/dkim/dkim-signer.js'

/**
 * mailauth's signer with two things that it does not do: `h=` names some fields once more than the message has them, so that
 * nobody can add one and keep the signature (RFC 6376 §5.4.2, §8.15), and the fields of one-click unsubscription are
 * signed whenever they are there (RFC 8058 §4), whatever the key's own list says.
 */

/** Of the fields that a key signs, those that may not be added to. */
const sealed = ['from', 'subject', 'to', 'cc', 'reply-to', 'date', 'message-id']
/** RFC 6376 §5.4: From has to be signed. */
const always = ['from', 'list-unsubscribe', 'list-unsubscribe-post']

export class OversigningSigner extends DkimSigner {
  /** Called for each signature, just before its fields are collected. */
  override getFieldNames(signature: Signature): string {
    const own = super.getFieldNames(signature).split(':')
    const names = [...new Set([...always, ...own.map((name) => name.trim().toLowerCase())])]
    this.#name(
      names,
      names.filter((name) => sealed.includes(name)),
    )
    return names.join(':')
  }

  /**
   * Fields are signed from the last to the first and `h=` is made of their names: the first one's goes on with those of
   * fields that are not there. In place, because the lines are in the caller's hands already.
   */
  #name(names: readonly string[], again: readonly string[]): void {
    const lines = (this.headers?.parsed ?? []).filter(({ key }) => key !== null && names.includes(key))
    for (const line of lines) line.casedKey = line.casedKey?.split(':')[0]
    const [first] = lines
    if (first) first.casedKey = [first.casedKey, ...again].join(': ')
  }
}
