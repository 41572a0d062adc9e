import { hostname } from 'node:os'

/** One line for a log, without its line ending. */
export type LogLine = {
  /** RFC 3339 UTC. */
  at: string
  severity: number
  /** The event's type or an equivalent: RFC 5424's MSGID. */
  id: string
  /** The worker's name. */
  app: string
  text: string
}

/** RFC 5424 §6.2.1: facility "mail". */
const facility = 2
/** RFC 5425 §4.3.1: receivers should accept 8192 bytes. */
const longest = 8_000

export const priorityOf = ({ severity }: LogLine): number => facility * 8 + severity

/** Truncates the text, so that receivers do not need to. */
export const textOf = ({ text }: LogLine): string => (text.length > longest ? `${text.slice(0, longest)}…` : text)

/** Formats a line according to RFC 5424 §6. */
export function syslogMessage(line: LogLine): string {
  const { at, app, id } = line
  return `<${priorityOf(line)}>1 ${at} ${word(hostname(), 255)} ${word(`postern-${app}`, 48)} ${process.pid} ${word(id, 32)} - ${textOf(line)}`
}

/** Formats a word in PRINTUSASCII without spaces; `-` if empty. */
const word = (text: string, max: number) => text.replace(/[^\x21-\x7e]/g, '_').slice(0, max) || '-'
