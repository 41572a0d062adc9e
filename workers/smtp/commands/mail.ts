import type { MailFacts, SessionFacts } from '@postern/contract/facts.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import { decideMail } from '@postern/policy/decide.ts'
import { readSender } from '@postern/policy/path.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { askWhatIsMissing } from '../lookups/ask.ts'
import { markMail } from '../lookups/mark.ts'
import { countRates, withRates } from '../lookups/rates.ts'
import type { SessionContext } from '../session/context.ts'
import { Transaction } from '../session/transaction.ts'
import type { Command } from './command.ts'
import { decodeXtext, type Parameter, readPath } from './path.ts'

type Asked = {
  declaredSize?: number
  smtpUtf8: boolean
  promised: { body: '7bit' | '8bitmime'; ret?: 'full' | 'hdrs'; envid?: string; requireTls?: true }
}
type Fault = { parameter: string } | { detail: string }
type Row = { underTls?: true; read(value: string | null, asked: Asked): boolean }

/** What each parameter does to the request; any other is refused with 555. */
const parameters: Record<string, Row> = {
  // RFC 1870 §4. Clients that do not know the size send the keyword without one.
  SIZE: {
    read(value, asked) {
      if (!value) return true
      if (!/^\d{1,20}$/.test(value)) return false
      asked.declaredSize = Number(value)
      return true
    },
  },
  // RFC 6152 §2
  BODY: {
    read(value, { promised }) {
      const body = value?.toLowerCase()
      if (body !== '7bit' && body !== '8bitmime') return false
      promised.body = body
      return true
    },
  },
  // RFC 4954 §5: whom the client believes to be the submitter. Believed by nobody, so `AUTH=jane@example.org` without xtext will do.
  AUTH: { read: (value) => value === null || /^[\x21-\x7e]*$/.test(value) },
  // RFC 6531 §3.4
  SMTPUTF8: {
    read(value, asked) {
      asked.smtpUtf8 = true
      return value === null
    },
  },
  // RFC 8689 §2
  REQUIRETLS: {
    underTls: true,
    read(value, { promised }) {
      promised.requireTls = true
      return value === null
    },
  },
  // RFC 3461 §4.3
  RET: {
    read(value, { promised }) {
      const ret = value?.toLowerCase()
      if (ret !== 'full' && ret !== 'hdrs') return false
      promised.ret = ret
      return true
    },
  },
  // RFC 3461 §4.4
  ENVID: {
    read(value, { promised }) {
      const envid = value === null || value.length > 100 ? null : decodeXtext(value)
      if (envid === null || envid === '') return false
      promised.envid = envid
      return true
    },
  },
}

function readAll(given: readonly Parameter[], { tls }: SessionFacts): Asked | Fault {
  const asked: Asked = { smtpUtf8: false, promised: { body: '7bit' } }
  for (const [key, value] of given) {
    const row = parameters[key]
    if (!row || (row.underTls && !tls)) return { parameter: key }
    if (!row.read(value, asked)) return { detail: `${key} has no such value` }
  }
  return asked
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
      return session.fault('badSequence', { values: { detail: 'nested MAIL' }, detail: 'nested MAIL' })
    const read = readPath(argument, 'FROM:')
    if ('detail' in read) {
      const reply = read.of === 'path' ? 'senderSyntax' : 'argumentError'
      return session.fault(reply, { values: { detail: read.detail }, detail: argument })
    }
    const asked = readAll(read.parameters, session.facts)
    if ('parameter' in asked)
      return session.fault('parameterUnknown', { values: { parameter: asked.parameter }, detail: argument })
    if ('detail' in asked) return session.fault('argumentError', { values: { detail: asked.detail }, detail: argument })
    begin(session, read.path, asked)
  },
}

function begin(session: SessionContext, path: string, { declaredSize, smtpUtf8, promised }: Asked): void {
  const { receiver } = session
  const { policy, lookupClients } = receiver
  const read: MailFacts = {
    ...session.refresh(),
    senderText: path,
    sender: readSender(path, policy),
    ...(declaredSize === undefined ? {} : { declaredSize }),
    smtpUtf8,
    spool: receiver.spool.hasRoom(declaredSize) ? 'ready' : 'full',
  }
  const facts = withRates(read, 'messages', receiver)
  if (facts.spool === 'full') receiver.spoolFull()
  const verdict = decideMail(facts, policy)
  const missing = askWhatIsMissing('mail', facts, { verdict, lookupClients, policy })
  if (!missing) settled(session, verdict, { policy, facts, promised })
  else
    session.wait(
      missing.then((lookups) => {
        const heard = { ...facts, now: Date.now(), lookups }
        settled(session, decideMail(heard, policy), { policy, facts: heard, promised })
      }),
    )
}

type Begun = { policy: Policy; facts: MailFacts; promised: Asked['promised'] }

function settled(session: SessionContext, verdict: Verdict, { policy, facts, promised }: Begun): void {
  session.recorder.mail(facts)
  if (!session.settle(verdict, { sender: facts.senderText })) return
  countRates(facts, 'messages', session.receiver)
  const transaction = new Transaction(policy, facts, { verdict, promised })
  session.transaction = transaction
  session.reply('senderOk')
  markMail(session, transaction)
}
