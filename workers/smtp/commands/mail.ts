import type { MailFacts, SessionFacts } from '@postern/contract/facts.ts'
import { readSender } from '@postern/policy/path.ts'
import { type MailParameters, Transaction } from '../message/transaction.ts'
import type { Command, CommandSession } from './command.ts'
import { decodeXtext, type Parameter, readPath } from './path.ts'

/** What the parameters ask for. */
type Request = { declaredSize?: number; smtpUtf8: boolean; envelope: MailParameters }
type Row = { underTls?: true; read(value: string | null, request: Request): boolean }

/** What each parameter does to the request; any other is refused with 555. */
const parameters: Record<string, Row> = {
  // RFC 1870 §4. Clients that do not know the size send the keyword without one.
  SIZE: {
    read(value, request) {
      if (!value) return true
      if (!/^\d{1,20}$/.test(value)) return false
      request.declaredSize = Number(value)
      return true
    },
  },
  // RFC 6152 §2
  BODY: {
    read(value, { envelope }) {
      const body = value?.toLowerCase()
      if (body !== '7bit' && body !== '8bitmime') return false
      envelope.body = body
      return true
    },
  },
  // RFC 4954 §5: whom the client believes to be the submitter. It is not used, so it need not be xtext.
  AUTH: { read: (value) => value === null || /^[\x21-\x7e]*$/.test(value) },
  // RFC 6531 §3.4
  SMTPUTF8: {
    read(value, request) {
      request.smtpUtf8 = true
      return value === null
    },
  },
  // RFC 8689 §2
  REQUIRETLS: {
    underTls: true,
    read(value, { envelope }) {
      envelope.requireTls = true
      return value === null
    },
  },
  // RFC 3461 §4.3
  RET: {
    read(value, { envelope }) {
      const ret = value?.toLowerCase()
      if (ret !== 'full' && ret !== 'hdrs') return false
      envelope.ret = ret
      return true
    },
  },
  // RFC 3461 §4.4
  ENVID: {
    read(value, { envelope }) {
      const envid = value === null || value.length > 100 ? null : decodeXtext(value)
      if (envid === null || envid === '') return false
      envelope.envid = envid
      return true
    },
  },
}

function readAll(
  given: readonly Parameter[],
  { tls }: SessionFacts,
): { request: Request } | { parameter: string } | { detail: string } {
  const request: Request = { smtpUtf8: false, envelope: { body: '7bit' } }
  for (const [key, value] of given) {
    const row = parameters[key]
    if (!row || (row.underTls && !tls)) return { parameter: key }
    if (!row.read(value, request)) return { detail: `${key} has no such value` }
  }
  return { request }
}

export const mail: Command = {
  verb: 'MAIL',
  syntax: 'MAIL FROM:<sender>',
  afterHello: true,
  argument: 'required',
  // SIZE 26, BODY 17, AUTH 500, SMTPUTF8 10, REQUIRETLS 11, RET and ENVID 8 + 107.
  longest: 1200,
  run(session, argument) {
    if (session.transaction)
      return session.protocolError('badSequence', { values: { detail: 'nested MAIL' }, detail: 'nested MAIL' })
    const read = readPath(argument, 'FROM:')
    if ('detail' in read) {
      const reply = read.of === 'path' ? 'senderSyntax' : 'argumentError'
      return session.protocolError(reply, { values: { detail: read.detail }, detail: argument })
    }
    const parsed = readAll(read.parameters, session.facts)
    if ('parameter' in parsed)
      return session.protocolError('parameterUnknown', { values: { parameter: parsed.parameter }, detail: argument })
    if ('detail' in parsed)
      return session.protocolError('argumentError', { values: { detail: parsed.detail }, detail: argument })
    begin(session, read.path, parsed.request)
  },
}

/** The transaction keeps the policy that is in force now. */
function begin(session: CommandSession, path: string, { declaredSize, smtpUtf8, envelope }: Request): void {
  const { receiver } = session
  const { policy } = receiver
  const facts: MailFacts = {
    ...session.refresh(),
    senderText: path,
    sender: readSender(path, policy),
    ...(declaredSize === undefined ? {} : { declaredSize }),
    smtpUtf8,
    spool: receiver.spool.hasRoom(declaredSize) ? 'ready' : 'full',
  }
  if (facts.spool === 'full') receiver.spoolFull()
  session.decide('mail', facts, {
    under: { policy },
    about: { sender: path },
    again: (lookups) => ({ ...facts, now: Date.now(), lookups }),
    proceed(known, verdict) {
      session.transaction = new Transaction(policy, known, { verdict, parameters: envelope })
      session.reply('senderOk')
    },
  })
}
