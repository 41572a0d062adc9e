import { z } from 'zod'
import { deliveryEvents } from './events/delivery.ts'
import { messageEvents } from './events/message.ts'
import type { EventRow } from './events/row.ts'
import { serviceEvents } from './events/service.ts'
import { sessionEvents } from './events/session.ts'
import type { ServiceName } from './services.ts'

export type { Tone, VerdictRecord } from './events/row.ts'

/**
 * All event types. Every decision and every step of a message is one event. Each worker numbers its events
 * without gaps and keeps them on its disk until storage has acknowledged them. No event holds a secret or a message body.
 */

/** One row for each event; `events/row.ts` describes the fields. */
export const eventTypes = {
  ...serviceEvents,
  ...sessionEvents,
  ...messageEvents,
  ...deliveryEvents,
} as const satisfies Record<string, EventRow>

export type EventType = keyof typeof eventTypes
export const eventTypeNames = Object.keys(eventTypes) as EventType[]

/** Returns the row of an event type; `undefined` if this version does not know the type. */
export function rowOf(type: string): EventRow | undefined {
  return Object.hasOwn(eventTypes, type) ? eventTypes[type as EventType] : undefined
}

/** Returns an event as a sentence for people. For a type that this version does not know, returns the type's name. */
export function sentenceOf(event: PosternEvent): string {
  return rowOf(event.type)?.sentence(event as never) ?? event.type
}

/**
 * Returns the only service that records events of this type; `undefined` if any worker may, or if this version does not
 * know the type.
 */
export function recorderOf(type: string): ServiceName | 'api' | undefined {
  return rowOf(type)?.by
}

export type EventFields<T extends EventType> = z.infer<(typeof eventTypes)[T]['fields']>

/**
 * `n`: the number that the worker assigned. `at`: RFC 3339 UTC with milliseconds. `log: false` marks an event on its
 * way to storage that the logging settings excluded from the log when it happened.
 */
export type PosternEvent = { [T in EventType]: { n: number; at: string; type: T } & EventFields<T> }[EventType]

const head = { n: z.number().int().min(1), at: z.iso.datetime() }
const headSchema = z.looseObject({ ...head, type: z.enum(eventTypeNames as [EventType, ...EventType[]]) })
/** One schema for each event, with head and fields combined, so that each event is parsed once. */
const eventSchemas = new Map<unknown, z.ZodType>(
  eventTypeNames.map((type) => [type, z.object({ ...head, type: z.literal(type), ...eventTypes[type].fields.shape })]),
)

/** Parses an event from outside the process. Throws a ZodError. */
export function parseEvent(value: unknown): PosternEvent {
  const schema = eventSchemas.get((value as { type?: unknown } | null)?.type) ?? headSchema
  return schema.parse(value) as PosternEvent
}
