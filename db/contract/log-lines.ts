import { type EventType, type PosternEvent, rowOf } from './events.ts'
import type { LoggingSettings } from './settings.ts'

/**
 * Decides which events belong to the log, and formats an event as a log line. Pure. The operational record (queue,
 * books, traces) is separate: it holds every event of a message, independent of the logging settings.
 */
export type LogLevel = LoggingSettings['level']

const order: Record<LogLevel, number> = { off: 0, normal: 1, verbose: 2, debug: 3 }

/** Returns the level of an event type. Events above `normal` are created only if the log asks for their level. */
export const levelOf = (type: EventType): 'normal' | 'verbose' | 'debug' => rowOf(type)?.level ?? 'normal'

/**
 * Returns whether the log at this level includes events of this type. The events that report lost log entries are
 * logged at every level.
 */
export function isLogged(type: EventType, level: LogLevel): boolean {
  return type === 'log.dropped' || order[levelOf(type)] <= order[level]
}

/**
 * Returns whether storage keeps events of this type even if they are not in the log. The pages about mail and services
 * need them.
 */
export const isOperational = (type: EventType): boolean => rowOf(type)?.operational ?? false

/** An event as logged, without its number. Storage's copy has the number. */
export type Logged = { at: string; worker: string; type: EventType }

/** Returns the severity defined in RFC 5424 §6.2.1. */
export const severityOf = ({ type }: Pick<PosternEvent, 'type'>): 3 | 4 | 5 | 6 | 7 => rowOf(type)?.severity ?? 6

/** Formats an event as one line of JSON. */
export function jsonLine(event: Logged): string {
  const { at, worker, type, ...fields } = event
  return JSON.stringify({ at, worker, type, ...fields })
}

/**
 * Formats an event as `MM:DD HH:MM SMTPD(id) [ip] text`, in UTC; `SMTP-(id)` for events of the Queue Manager. The text
 * uses Postfix wording, so that log analysis tools can read it. An event is one line; a delivery has one line for each
 * recipient, because such tools count lines.
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

/** Formats the remaining fields as `key=value`, for events without their own wording. */
function rest(event: PosternEvent): string {
  const { n, at, type, client, ...fields } = event as PosternEvent & { client?: unknown; worker?: string }
  return Object.entries(fields)
    .filter(([key]) => key !== 'worker' && key !== 'messageId')
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ')
}
