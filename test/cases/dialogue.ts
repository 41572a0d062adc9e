import type { Stage } from '@postern/contract/rules.ts'
import { type SessionRecord, sessionRecordSchema } from '@postern/contract/session-facts.ts'
import type { Case } from './case.ts'

/** Turns a dialogue into facts: the session, and the lines that get a decision. */

/** When every case happens: greylisting and expiry count from here. */
export const noon = Date.parse('2026-11-22T12:00:00Z')

export type Turn = {
  says: string
  expects: string
  stage: Stage | null
}

export function turnsOf({ dialogue }: Case): Turn[] {
  let secured = false
  return dialogue.map(([says, expects], i) => {
    const isMessage = dialogue[i - 1]?.[0] === 'DATA'
    const stage = isMessage ? 'data' : secured && /^(EHLO|HELO)/.test(says) ? null : stageOf(says)
    if (says === 'STARTTLS') secured = true
    return { says, expects, stage }
  })
}

const verbs: [RegExp, Stage][] = [
  [/^(EHLO|HELO)/, 'hello'],
  [/^AUTH /, 'auth'],
  [/^MAIL /, 'mail'],
  [/^RCPT /, 'rcpt'],
  [/^VRFY/, 'vrfy'],
  [/^EXPN/, 'expn'],
  // Not a command: evaluates the errors of the session so far.
  [/^\(fault\)$/, 'fault'],
]

function stageOf(says: string): Stage | null {
  if (says === '') return 'connect'
  return verbs.find(([pattern]) => pattern.test(says))?.[1] ?? null
}

/** Returns the facts from the lines. Facts in the case override them. */
export function sessionOf(one: Case): SessionRecord {
  const session: SessionRecord = { now: noon, ip: one.ip, tlsAvailable: true, machine: 'mx.test' }
  for (const { says, stage } of turnsOf(one)) read(session, says, stage)
  return sessionRecordSchema.parse({ ...session, ...one.facts })
}

function read(session: SessionRecord, says: string, stage: Stage | null): void {
  const between = /<(.*)>/s.exec(says)?.[1] ?? ''
  const after = says.slice(says.indexOf(' ') + 1)
  switch (stage) {
    case 'hello':
      session.helo = after
      session.verb = says.startsWith('HELO') ? 'HELO' : 'EHLO'
      return
    case 'auth': {
      const [, mechanism = '', login = '', password = ''] = says.split(' ')
      Object.assign(session, { mechanism, login, loginResult: password === 'right' ? 'valid' : 'invalid' })
      return
    }
    case 'mail': {
      session.mailFrom = between
      const size = / SIZE=(\d+)/.exec(says)?.[1]
      if (size) session.declaredSize = Number(size)
      session.smtpUtf8 = / SMTPUTF8/.test(says)
      return
    }
    case 'rcpt':
      session.rcptTo = [...(session.rcptTo ?? []), between]
      return
    case 'data':
      Object.assign(session, messageFacts(says))
      return
    case 'vrfy':
      session.vrfy = after
      return
    case 'expn':
      session.expn = after
      return
    default:
      if (says === 'STARTTLS') session.tls = true
  }
}

function messageFacts(text: string): Partial<SessionRecord> {
  const header = text.split('\r\n\r\n')[0] ?? ''
  return {
    size: Buffer.byteLength(text) + 2,
    bareLineFeeds: /\r(?!\n)|(?<!\r)\n/.test(text),
    nulOctets: text.includes('\u0000'),
    hops: header.match(/^Received:/gim)?.length ?? 0,
  }
}
