import { hostname } from 'node:os'

/** One line for a log, without its line end. */
export type LogLine = {
  /** RFC 3339 UTC. */
  at: string
  severity: number
  /** The event's type, or its like: RFC 5424's MSGID. */
  id: string
  /** The worker. */
  app: string
  text: string
}

/** RFC 5424 §6.2.1: mail. */
const facility = 2
/** RFC 5425 §4.3.1: receivers should take 8192 octets. */
const longest = 8_000

export const priorityOf = ({ severity }: LogLine): number => facility * 8 + severity

/** Cut so that no receiver has to. */
export const textOf = ({ text }: LogLine): string => (text.length > longest ? `${text.slice(0, longest)}…` : text)

/** RFC 5424 §6. */
export function syslogMessage(line: LogLine): string {
  const { at, app, id } = line
  return `<${priorityOf(line)}>1 ${at} ${word(hostname(), 255)} ${word(`postern-${app}`, 48)} ${process.pid} ${word(id, 32)} - ${textOf(line)}`
}

/** PRINTUSASCII without spaces; `-` for nothing. */
const word = (text: string, max: number) => text.replace(/[^\x21-\x7e]/g, '_').slice(0, max) || '-'
