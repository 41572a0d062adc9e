import { parseMailAddress } from '@postern/contract/address.ts'
import { notifySchema, type Recipient } from '@postern/contract/envelope.ts'
import type { RcptFacts } from '@postern/contract/facts.ts'
import type { Transaction } from '../message/transaction.ts'
import type { Command, CommandSession } from './command.ts'
import { decodeXtext, type Parameter, readPath, readUtf8Address } from './path.ts'

/** What the parameters ask for (RFC 3461 §4). */
type DsnRequest = Pick<Recipient, 'notify' | 'orcpt'>

/** RFC 3461 §4.1: NEVER alone, or any of the others. */
function readNotify(value: string | null): DsnRequest['notify'] | null {
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

function readAll(
  given: readonly Parameter[],
  smtpUtf8: boolean,
): DsnRequest | { parameter: string } | { detail: string } {
  const request: DsnRequest = {}
  for (const [key, value] of given) {
    if (key !== 'NOTIFY' && key !== 'ORCPT') return { parameter: key }
    const read = key === 'NOTIFY' ? readNotify(value) : readOrcpt(value, smtpUtf8)
    if (!read) return { detail: `${key} has no such value` }
    if (typeof read === 'string') request.orcpt = read
    else request.notify = read
  }
  return request
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
      return session.protocolError('badSequence', { values: { detail: 'MAIL first' }, detail: 'RCPT before MAIL' })
    if (transaction.chunked)
      return session.protocolError('badSequence', { values: { detail: 'BDAT was used' }, detail: 'RCPT after BDAT' })
    const read = readPath(argument, 'TO:')
    if ('detail' in read) {
      const reply = read.of === 'path' ? 'recipientSyntax' : 'argumentError'
      return session.protocolError(reply, { values: { detail: read.detail }, detail: argument })
    }
    const request = read.parameters.length === 0 ? noRequest : readAll(read.parameters, transaction.facts.smtpUtf8)
    if ('parameter' in request)
      return session.protocolError('parameterUnknown', { values: { parameter: request.parameter }, detail: argument })
    if ('detail' in request)
      return session.protocolError('argumentError', { values: { detail: request.detail }, detail: argument })
    add(session, transaction, { path: read.path, request })
  },
}

const noRequest: DsnRequest = {}

function add(
  session: CommandSession,
  transaction: Transaction,
  { path, request }: { path: string; request: DsnRequest },
): void {
  const facts: RcptFacts = {
    ...transaction.facts,
    now: Date.now(),
    recipientText: path,
    recipient: parseMailAddress(path),
    recipientsSoFar: transaction.rcptAccepted,
  }
  session.decide('rcpt', facts, {
    under: transaction,
    about: { sender: transaction.facts.senderText, recipient: path },
    again: (lookups) => (session.transaction === transaction ? { ...facts, lookups } : undefined),
    proceed(_, verdict) {
      const { recipients } = verdict
      transaction.add(request === noRequest ? recipients : recipients.map((one) => ({ ...one, ...request })))
      transaction.passed(verdict)
      session.reply('recipientOk')
    },
  })
}
