import type { SessionFacts } from '@postern/contract/facts.ts'
import { hostPattern } from '@postern/contract/network.ts'
import { readSubject } from './subject.ts'

/** Trace and missing fields that go before a message (RFC 5321 §4.4, RFC 6409 §8). Nothing that a client sent is in them unchecked. */

export type TraceOf = {
  facts: SessionFacts
  /** EHLO was said. */
  extended: boolean
  /** MAIL asked for SMTPUTF8. */
  smtpUtf8: boolean
  hostname: string
  id: string
  at: number
  /** The argument of RCPT, when there was only one: recipients must not learn of each other. */
  onlyRecipient?: string | undefined
}

export function receivedField({ hostname, id, at, onlyRecipient, ...how }: TraceOf): string {
  const { helo = '', ip, tls } = how.facts
  const from = `Received: from ${safeName(helo)} (${reverseName(how.facts)}${ip.includes(':') ? `[IPv6:${ip}]` : `[${ip}]`})\r\n`
  const secured = tls ? `\t(using ${word(tls.version)} with cipher ${word(tls.cipher)})\r\n` : ''
  const by = `\tby ${hostname} (Postern) with ${protocol(how)} id ${id}`
  const whom = onlyRecipient !== undefined && plainAddress.test(onlyRecipient) ? `\r\n\tfor <${onlyRecipient}>` : ''
  return `${from}${secured}${by}${whom};\r\n\t${mailDate(at)}\r\n`
}

/** For messages that came through the API: it names this server, and tells nothing of the client. */
export function httpReceivedField({ hostname, id, at }: Pick<TraceOf, 'hostname' | 'id' | 'at'>): string {
  return `Received: by ${hostname} (Postern) with HTTP id ${id};\r\n\t${mailDate(at)}\r\n`
}

/** RFC 5321 §4.4, TCP-info: the confirmed name of the client's address, where it is known. */
function reverseName({ lookups }: SessionFacts): string {
  const reverse = lookups?.reverseDns
  if (!reverse || reverse === 'not-known' || !reverse.confirmed || !hostPattern.test(reverse.name ?? '')) return ''
  return `${reverse.name} `
}

/** RFC 3848, and RFC 6531 §4.3. */
function protocol({
  facts: { tls, login },
  extended,
  smtpUtf8,
}: Pick<TraceOf, 'facts' | 'extended' | 'smtpUtf8'>): string {
  if (!extended) return 'SMTP'
  return `${smtpUtf8 ? 'UTF8SMTP' : 'ESMTP'}${tls ? 'S' : ''}${login === undefined ? '' : 'A'}`
}

/** A dot-atom: the form of a path in a header. */
const plainAddress =
  /^(?=.{3,320}$)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9.:[\]_-]{1,255}$/

/** The HELO name, with every character replaced that a host name or address literal cannot have. */
function safeName(helo: string): string {
  return helo.slice(0, 255).replace(/[^A-Za-z0-9.:[\]_-]/g, '?') || 'unknown'
}

function word(text: string): string {
  return text.replace(/[^A-Za-z0-9._-]/g, '?')
}

let lastSecond = -1
let lastDate = ''

/** RFC 5322 §3.3, in UTC. */
function mailDate(at: number): string {
  const second = Math.floor(at / 1000)
  if (second === lastSecond) return lastDate
  lastSecond = second
  // RFC 9110 §5.6.7 writes the same date, with another word for the zone.
  lastDate = new Date(at).toUTCString().replace('GMT', '+0000')
  return lastDate
}

/** What a submission server adds where a mail client left it out. */
export function missingFields(
  header: Header,
  { id, at, hostname }: { id: string; at: number; hostname: string },
): string {
  const date = header.hasDate ? '' : `Date: ${mailDate(at)}\r\n`
  return header.hasMessageId ? date : `${date}Message-ID: <${id}@${hostname}>\r\n`
}

export type Header = {
  /** What has to go between our trace and the first line, so that the header and the body stay what they are. */
  before: string
  /** Received fields (RFC 5321 §6.3). */
  hops: number
  hasDate: boolean
  hasMessageId: boolean
  /** It has an Authentication-Results field, or may have one beyond what is read here. */
  claimsResults: boolean
  /** The domain of the one author, where the header is short and plain, without a signature and without claimed results. */
  author?: string
  /** As people read it: decoded, on one line, at most 200 characters, all of them printable. */
  subject?: string
}

/**
 * Reads the header of a message from its first bytes. Newer trace fields are above older ones, so all that matter are in them.
 * `isWhole`: there are no more bytes; else Date and Message-ID may be further down.
 */
export function readHeader(first: Buffer, isWhole = true): Header {
  const text = `\r\n${first.toString('latin1', 0, first.length)}`
  const end = text.indexOf('\r\n\r\n')
  const before = separatorBefore(text)
  if (before === '\r\n') return { before, hops: 0, hasDate: false, hasMessageId: false, claimsResults: true }
  const header = end === -1 ? text : text.slice(0, end + 2)
  const isCut = end === -1 && !isWhole
  const hops = header.match(/\r\nreceived[ \t]*:/gi)?.length ?? 0
  const claimsResults = end === -1 || /[\r\n]authentication-results[\s:]/i.test(header)
  const author = claimsResults ? undefined : authorOf(header)
  const subject = /\r\nsubject[ \t]*:((?:[^\r]|\r\n[ \t]){0,1000})/i.exec(header)?.[1]
  return {
    before,
    hops,
    hasDate: isCut || /\r\ndate[ \t]*:/i.test(header),
    hasMessageId: isCut || /\r\nmessage-id[ \t]*:/i.test(header),
    claimsResults,
    ...(author === undefined ? {} : { author }),
    ...(subject === undefined ? {} : { subject: readSubject(subject) }),
  }
}

const field = /^\r\n[!-9;-~]+[ \t]*:/
/** The line that mbox files put before a message; the field after it is the first of the header. */
const mboxLine = /^\r\n>*From [^\r]*(?=\r\n(?:[!-9;-~]+[ \t]*:|\r\n))/

/**
 * A first line that is no field belongs to the body (RFC 5322 §2.1), and so does a folded one: without an empty line before it,
 * it would be read as part of our trace. An mbox line becomes a field of its own, as Postfix makes it.
 */
function separatorBefore(text: string): string {
  if (field.test(text) || text.startsWith('\r\n\r\n')) return ''
  return mboxLine.test(text) ? 'X-Mailbox-Line: ' : '\r\n'
}

const plainAuthor = "[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@((?:[a-z0-9-]{1,63}\\.){1,20}[a-z0-9-]{1,63})"
/** With both angle brackets or with none. */
const plainFrom = new RegExp(
  `\\r\\nfrom:(?:[^\\r\\n<>"(),:;@\\\\]{0,200}<${plainAuthor}>|[ \\t]{0,20}${plainAuthor})[ \\t]{0,20}\\r\\n(?:[!-9;-~]{1,100}:|$)`,
  'i',
)

/** A header that two readers may read differently (odd line ends, obsolete forms) is not plain. */
function authorOf(header: string): string | undefined {
  const [, named, bare] = plainFrom.exec(header) ?? []
  const domain = named ?? bare
  if (domain === undefined || domain.length > 253) return undefined
  const isOdd = /^\r\n[ \t]|[^\r]\n|\r[^\n]/.test(header) || /\ndkim-signature[\s:]/i.test(header)
  return isOdd || header.match(/\nfrom[\s:]/gi)?.length !== 1 ? undefined : domain.toLowerCase()
}
