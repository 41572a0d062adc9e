import { recorderOf } from '@postern/contract/events.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import { hourOf } from '@postern/log/file-names.ts'
import type { LoggedEvent } from '@postern/log/search.ts'
import { invalid, ProblemError } from './problem.ts'

/** An event as its worker wrote it. Only number, time and type have been checked. */
export type SentEvent = { n: number; at: string; type: string; [field: string]: unknown }

/** Returns an event as the log has it. */
export function loggedEvent({ worker, log }: { worker: string; log: string }, sent: SentEvent): LoggedEvent {
  const { n, at, type, ...fields } = sent
  const messageId = typeof fields.messageId === 'string' ? fields.messageId : undefined
  return { worker, log, n, at: Date.parse(at), type, fields, ...(messageId === undefined ? {} : { messageId }) }
}

/** The numbers that a batch claims to have, and the service whose events it may hold. */
type Claim = { first: number; last: number; service: ServiceName }

/**
 * Reads the lines of a batch. Refuses a batch whose numbers are not `first` to `last` in order, whose events are not
 * from one UTC hour, or that holds an event of another service. Events of unknown types are accepted.
 * @returns the events, and the start of their hour in milliseconds since the epoch
 */
export function readBatch(text: string, { first, last, service }: Claim): { hour: number; events: SentEvent[] } {
  const lines = text.split('\n')
  if (lines.pop() !== '') throw refused('the last line does not end')
  if (lines.length !== last - first + 1)
    throw refused(`there are ${lines.length} events, but numbers ${first} to ${last} make ${last - first + 1}`)
  const events = lines.map((line, i) => readLine(line, first + i))
  const foreign = events.find(({ type }) => (recorderOf(type) ?? service) !== service)
  if (foreign)
    throw new ProblemError(
      403,
      `Event ${foreign.n} is ${foreign.type}, which only the service ${recorderOf(foreign.type)} records. This worker is enrolled for ${service}.`,
    )
  const hours = new Set(events.map(({ at }) => at.slice(0, 13)))
  if (hours.size > 1) throw refused(`the events are from more than one hour: ${[...hours].slice(0, 3).join(', ')}`)
  return { hour: hourOf(Date.parse(events[0]?.at ?? '')), events }
}

const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
/** Half of a surrogate pair, as JSON.stringify escapes it. The engines that read the log refuse it. */
const surrogatePattern = /\\u[dD][89a-fA-F]/

function readLine(line: string, n: number): SentEvent {
  let event: SentEvent
  try {
    event = JSON.parse(line) as SentEvent
  } catch {
    throw refused(`event ${n} is not JSON`)
  }
  if (event?.n !== n) throw refused(`event ${n} has the number ${JSON.stringify(event?.n)?.slice(0, 40)}`)
  if (typeof event.at !== 'string' || !timePattern.test(event.at) || Number.isNaN(Date.parse(event.at)))
    throw refused(
      `event ${n} has the time ${JSON.stringify(event.at)?.slice(0, 40)}, not one like 2026-11-30T09:00:00.000Z`,
    )
  if (typeof event.type !== 'string' || event.type.length < 1 || event.type.length > 100)
    throw refused(`event ${n} has no type`)
  if (surrogatePattern.test(line) && hasHalfCharacter(line)) throw refused(`event ${n} contains an unpaired surrogate`)
  return event
}

function hasHalfCharacter(line: string): boolean {
  let found = false
  JSON.parse(line, (key, value: unknown) => {
    if (!key.isWellFormed() || (typeof value === 'string' && !value.isWellFormed())) found = true
    return value
  })
  return found
}

const refused = (message: string) => invalid([{ path: 'body', message: `The batch is not valid: ${message}` }])
