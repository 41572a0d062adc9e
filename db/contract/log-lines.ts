import { type EventType, type PosternEvent, rowOf } from './events.ts'
import type { LoggingSettings } from './settings.ts'

/**
 * What belongs to the log, and how an event stands in it as a line. Pure. The operational record (queue, books, traces)
 * is something else: it has every event of a message, whatever the logging settings say.
 */
export type LogLevel = LoggingSettings['level']

const order: Record<LogLevel, number> = { off: 0, normal: 1, verbose: 2, debug: 3 }

/** Events of a level above `normal` are not made at all unless the log asks for it. */
export const levelOf = (type: EventType): 'normal' | 'verbose' | 'debug' => rowOf(type)?.level ?? 'normal'

/** Whether the log at this level has events of this type. A log that lost something says so at every level. */
export function isLogged(type: EventType, level: LogLevel): boolean {
  return type === 'log.dropped' || order[levelOf(type)] <= order[level]
}

/** Whether storage keeps an event of this type although it is not in the log: the pages about mail and services need it. */
export const isOperational = (type: EventType): boolean => rowOf(type)?.operational ?? false

/** An event as it is logged: without its number, which storage's copy has. */
export type Logged = { at: string; worker: string; type: EventType }

/** Of RFC 5424 §6.2.1. */
export const severityOf = ({ type }: Pick<PosternEvent, 'type'>): 3 | 4 | 5 | 6 | 7 => rowOf(type)?.severity ?? 6

/** One line of JSON. */
export function jsonLine(event: Logged): string {
  const { at, worker, type, ...fields } = event
  return JSON.stringify({ at, worker, type, ...fields })
}

/**
 * `MM:DD HH:MM SMTPD(id) [ip] text`, in UTC; `SMTP-(id)` for what the Queue Manager does. The text is in the words of
 * Postfix, so that tools that count mail from logs can read it. One line an event; a delivery has one a recipient, as
 * such tools count.
 */
export function classicLines(event: Logged, service: 'smtp' | 'queue'): string[] {
  const at = `${event.at.slice(5, 7)}:${event.at.slice(8, 10)} ${event.at.slice(11, 16)}`
  const name = service === 'smtp' ? 'SMTPD' : 'SMTP-'
  const fields = event as Fields
  const id = (fields.messageId ?? fields.session ?? event.worker).replaceAll('-', '')
  const ip = fields.client?.ip ?? fields.remote?.address ?? '-'
  return textsOf(event as unknown as PosternEvent, id).map((text) => `${at} ${name}(${id}) [${ip}] ${oneLine(text)}`)
}

type Fields = {
  messageId?: string
  session?: string
  client?: { ip: string }
  remote?: { address?: string }
}

const oneLine = (text: string) => text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')

function textsOf(event: PosternEvent, id: string): string[] {
  const row = rowOf(event.type)
  return row?.classic?.(event as never, id) ?? [`${event.type}: ${row?.title ?? ''}: ${rest(event)}`]
}

/** `key=value` of the rest, for events without words of their own. */
function rest(event: PosternEvent): string {
  const { n, at, type, client, ...fields } = event as PosternEvent & { client?: unknown; worker?: string }
  return Object.entries(fields)
    .filter(([key]) => key !== 'worker' && key !== 'messageId')
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ')
}
