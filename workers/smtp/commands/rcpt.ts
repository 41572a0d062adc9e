import { parseMailAddress } from '@postern/contract/address.ts'
import { notifySchema, type Recipient } from '@postern/contract/envelope.ts'
import type { RcptFacts } from '@postern/contract/facts.ts'
import type { RcptVerdict } from '@postern/contract/verdict.ts'
import { decideRcpt } from '@postern/policy/decide.ts'
import { askWhatIsMissing } from '../lookups/ask.ts'
import { countRates, withRates } from '../lookups/rates.ts'
import type { SessionContext } from '../session/context.ts'
import type { Transaction } from '../session/transaction.ts'
import type { Command } from './command.ts'
import { decodeXtext, type Parameter, readPath, readUtf8Address } from './path.ts'

type Wish = Pick<Recipient, 'notify' | 'orcpt'>

/** RFC 3461 §4.1: NEVER alone, or any of the others. */
function readNotify(value: string | null): Wish['notify'] | null {
  const words = value?.toLowerCase().split(',') ?? []
  const notify = words.map((word) => notifySchema.safeParse(word)).map(({ data }) => data)
  const known = notify.filter((word) => word !== undefined)
  if (known.length === 0 || known.length !== words.length || new Set(known).size !== known.length) return null
  return known.includes('never') && known.length > 1 ? null : known
}

/** RFC 3461 §4.2: `rfc822;xtext`; RFC 6533 §3: `utf-8;` and an address beyond ASCII, which without SMTPUTF8 is written in ASCII. */
function readOrcpt(value: string | null, smtpUtf8: boolean): string | null {
  const [, type = '', text = ''] = /^([A-Za-z0-9-]{1,30});(.+)$/u.exec(value ?? '') ?? []
  if (text === '' || text.length > 500) return null
  const address = type.toLowerCase() === 'utf-8' ? readUtf8Address(text, smtpUtf8) : decodeXtext(text)
  return address && address.length <= 460 ? `${type};${address}` : null
}

function readAll(given: readonly Parameter[], smtpUtf8: boolean): Wish | { parameter: string } | { detail: string } {
  const wish: Wish = {}
  for (const [key, value] of given) {
    if (key !== 'NOTIFY' && key !== 'ORCPT') return { parameter: key }
    const read = key === 'NOTIFY' ? readNotify(value) : readOrcpt(value, smtpUtf8)
    if (!read) return { detail: `${key} has no such value` }
    if (typeof read === 'string') wish.orcpt = read
    else wish.notify = read
  }
  return wish
}

export const rcpt: Command = {
  verb: 'RCPT',
  syntax: 'RCPT TO:<recipient>',
  afterHello: true,
  argument: 'required',
  // NOTIFY 28, ORCPT 500.
  longest: 1100,
  run(session, argument) {
    const { transaction } = session
    if (!transaction)
      return session.fault('badSequence', { values: { detail: 'MAIL first' }, detail: 'RCPT before MAIL' })
    if (transaction.chunked)
      return session.fault('badSequence', { values: { detail: 'BDAT was used' }, detail: 'RCPT after BDAT' })
    const read = readPath(argument, 'TO:')
    if ('detail' in read) {
      const reply = read.of === 'path' ? 'recipientSyntax' : 'argumentError'
      return session.fault(reply, { values: { detail: read.detail }, detail: argument })
    }
    const wish = read.parameters.length === 0 ? noWish : readAll(read.parameters, transaction.facts.smtpUtf8)
    if ('parameter' in wish)
      return session.fault('parameterUnknown', { values: { parameter: wish.parameter }, detail: argument })
    if ('detail' in wish) return session.fault('argumentError', { values: { detail: wish.detail }, detail: argument })
    add(session, transaction, { path: read.path, wish })
  },
}

const noWish: Wish = {}

function add(session: SessionContext, transaction: Transaction, { path, wish }: { path: string; wish: Wish }): void {
  const { policy } = transaction
  const read: RcptFacts = {
    ...transaction.facts,
    now: Date.now(),
    recipientText: path,
    recipient: parseMailAddress(path),
    recipientsSoFar: transaction.rcptAccepted,
  }
  const facts = withRates(read, 'recipients', { policy, rates: session.receiver.rates })
  const verdict = decideRcpt(facts, policy)
  const missing = askWhatIsMissing('rcpt', facts, { verdict, lookupClients: session.receiver.lookupClients, policy })
  if (!missing) settled(session, transaction, { facts, verdict, wish })
  else
    session.wait(
      missing.then((lookups) => {
        // The session may have ended meanwhile.
        if (session.transaction !== transaction) return
        const heard = { ...facts, lookups }
        settled(session, transaction, { facts: heard, verdict: decideRcpt(heard, policy), wish })
      }),
    )
}

type Said = { facts: RcptFacts; verdict: RcptVerdict; wish: Wish }

function settled(session: SessionContext, transaction: Transaction, { facts, verdict, wish }: Said): void {
  const { recipientText: path } = session.recorder.rcpt(facts)
  if (!session.settle(verdict, { sender: transaction.facts.senderText, recipient: path })) return
  countRates(facts, 'recipients', { policy: transaction.policy, rates: session.receiver.rates })
  transaction.add(wish === noWish ? verdict.recipients : verdict.recipients.map((one) => ({ ...one, ...wish })))
  transaction.passed(verdict)
  session.reply('recipientOk')
}
