import { type EventType, eventTypes, type PosternEvent } from './events.ts'
import type { LoggingSettings } from './settings.ts'

/**
 * What belongs to the log, and how an event stands in it as a line. Pure. The operational record (queue, books, traces)
 * is something else: it has every event of a message, whatever the logging settings say.
 */
export type LogLevel = LoggingSettings['level']

/** Not made at all unless the level asks for them; every other event is of the level `normal`. */
const levels: Partial<Record<EventType, 'verbose' | 'debug'>> = {
  'session.opened': 'verbose',
  'session.closed': 'verbose',
  'session.dialogue': 'debug',
  'outbound.dialogue': 'debug',
}
const order: Record<LogLevel, number> = { off: 0, normal: 1, verbose: 2, debug: 3 }

export const levelOf = (type: EventType): 'normal' | 'verbose' | 'debug' => levels[type] ?? 'normal'

/** Whether the log at this level has events of this type. A log that lost something says so at every level. */
export function isLogged(type: EventType, level: LogLevel): boolean {
  return type === 'log.dropped' || order[levelOf(type)] <= order[level]
}

const operational = /^(message|delivery|dsn|order|worker|service|policy|listener|spool|certificate)\./

/** Whether storage keeps an event of this type although it is not in the log: the pages about mail and services need it. */
export const isOperational = (type: EventType): boolean => operational.test(type)

/** An event as it is logged: without its number, which storage's copy has. */
export type Logged = { at: string; worker: string; type: EventType }

/** RFC 5424 §6.2.1: 3 error, 4 warning, 5 notice, 6 informational, 7 debug. */
export function severityOf({ type }: Pick<PosternEvent, 'type'>): 3 | 4 | 5 | 6 | 7 {
  if (levelOf(type) === 'debug') return 7
  if (/^(listener\.failed|policy\.refused|message\.damaged|spool\.full|certificate\.failed)$/.test(type)) return 3
  if (/\.(expiring|dropped|bounced|duplicate)$/.test(type)) return 4
  return /\.(refused|failed|error|deferred|held)$/.test(type) ? 5 : 6
}

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
  switch (event.type) {
    case 'message.accepted': {
      const from = event.client ? `client=${event.client.helo || 'unknown'}[${event.client.ip}], ` : ''
      return [`${id}: ${from}from=<${event.sender}>, size=${event.size}, nrcpt=${event.recipients.length}`]
    }
    case 'delivery.delivered':
      return delivery(event, id, { dsn: '2.0.0', status: 'sent' })
    case 'delivery.deferred':
      return delivery(event, id, { dsn: '4.0.0', status: 'deferred' })
    case 'delivery.bounced':
      return delivery(event, id, { dsn: event.status, status: 'bounced' })
    case 'delivery.discarded':
      return event.recipients.map((to) => `${id}: to=<${to}>, relay=none, delay=0, dsn=2.0.0, status=discarded`)
    case 'session.refused':
      return [reject('CONNECT', event.client, event.verdict.reply)]
    case 'command.refused':
      return [
        `${reject(event.verdict.stage.toUpperCase(), event.client, event.verdict.reply)}; from=<${event.sender ?? ''}>${event.recipient === undefined ? '' : ` to=<${event.recipient}>`} proto=ESMTP helo=<${event.client.helo ?? ''}>`,
      ]
    case 'message.refused':
      return [
        `${reject('DATA', event.client, event.verdict.reply)}; from=<${event.sender}> to=<${event.recipients[0] ?? ''}> proto=ESMTP helo=<${event.client.helo ?? ''}>`,
      ]
    case 'auth.succeeded':
      return [`sasl_method=${event.mechanism}, sasl_username=${event.login}`]
    case 'auth.failed':
      return [`warning: SASL ${event.mechanism} authentication failed for ${event.login}: ${event.verdict.reply}`]
    case 'session.opened':
      return [`connect from unknown[${event.client.ip}]`]
    case 'session.closed':
      return [`disconnect from unknown[${event.client.ip}] messages=${event.messages} seconds=${event.seconds}`]
    case 'session.dialogue':
      return [`${event.from === 'client' ? '<' : '>'} ${event.text}`]
    case 'outbound.dialogue':
      return [`${event.from === 'client' ? '>' : '<'} ${event.text}`]
    default:
      return [`${event.type}: ${eventTypes[event.type].title}: ${rest(event)}`]
  }
}

type Attempt = PosternEvent & { type: 'delivery.delivered' | 'delivery.deferred' | 'delivery.bounced' }

function delivery(
  { recipients, remote: { host, address, port }, reply, durationMs }: Attempt,
  id: string,
  { dsn, status }: { dsn: string; status: string },
): string[] {
  const relay = `${host}${address ? `[${address}]` : ''}${port ? `:${port}` : ''}`
  const delay = (durationMs / 1000).toFixed(2)
  return recipients.map(
    (to) => `${id}: to=<${to}>, relay=${relay}, delay=${delay}, dsn=${dsn}, status=${status} (${reply.slice(0, 500)})`,
  )
}

const reject = (stage: string, { ip }: { ip: string }, reply: string) =>
  `NOQUEUE: reject: ${stage} from unknown[${ip}]: ${reply}`

/** `key=value` of the rest, for events without words of their own. */
function rest(event: PosternEvent): string {
  const { n, at, type, client, ...fields } = event as PosternEvent & { client?: unknown; worker?: string }
  return Object.entries(fields)
    .filter(([key]) => key !== 'worker' && key !== 'messageId')
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ')
}
