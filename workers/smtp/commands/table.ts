import { auth } from './auth.ts'
import { bdat } from './bdat.ts'
import { type Command, plainLine } from './command.ts'
import { data } from './data.ts'
import { etrn } from './etrn.ts'
import { ehlo, helo } from './hello.ts'
import { mail } from './mail.ts'
import { rcpt } from './rcpt.ts'
import { expn, noop, quit, rset, vrfy } from './session.ts'
import { starttls } from './starttls.ts'

const help: Command = {
  verb: 'HELP',
  syntax: 'HELP',
  afterHello: false,
  argument: 'optional',
  longest: plainLine,
  run: (session) => session.reply('help', { commands: rows.map(({ verb }) => verb).join(' ') }),
}

const rows: readonly Command[] = [
  ehlo,
  helo,
  mail,
  rcpt,
  data,
  bdat,
  rset,
  noop,
  quit,
  vrfy,
  expn,
  help,
  starttls,
  auth,
  etrn,
]

export const commands: ReadonlyMap<string, Command> = new Map(rows.map((row) => [row.verb, row]))

/** Commands of the protocol that are not implemented: 502 instead of 500 (RFC 5321 §4.2.4). */
export const notImplemented: ReadonlySet<string> = new Set(['TURN', 'ATRN', 'SEND', 'SOML', 'SAML'])

/** HTTP, from a browser or through one: not a mail client, and nothing it sends is a command. */
export const otherProtocol =
  /^(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|TRACE|CONNECT|PATCH|PRI) (?:\/|https?:\/\/|\S+ HTTP\/\d)/i
