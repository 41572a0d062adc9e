import type { RecordedEvent } from '@postern/contract/views.ts'
import type { EventField } from './filters.ts'

/** A value of an event that events can be filtered by. */
export type EventValue = { key: EventField; value: string }

/** The values of an event, as the log's columns have them. Nothing is assumed about its fields. */
export function valuesOf(event: RecordedEvent): EventValue[] {
  const verdict = recordIn(event.verdict)
  const client = recordIn(event.client)
  const reply = textIn(event.reply) ?? textIn(verdict.reply)
  const [, code, enhanced] = /^([2-5]\d\d)(?:[ -]([245]\.\d{1,3}\.\d{1,3})(?!\d))?/.exec(reply ?? '') ?? []
  return [
    ...valueIn('message', event.messageId),
    ...valueIn('sender', event.sender),
    ...recipientsOf(event).flatMap((address) => valueIn('recipient', address)),
    ...valueIn('client', client.ip ?? event.address),
    ...valueIn('login', event.login ?? client.login),
    ...valueIn('rule', verdict.rule ?? event.rule),
    ...valueIn('reason', verdict.reason ?? event.reason),
    ...valueIn('code', code),
    ...valueIn('code', enhanced ?? event.status),
    ...valueIn('worker', event.worker),
    ...valueIn('type', event.type),
  ].filter(({ key, value }) => value !== '' || key === 'sender')
}

/** In an acceptance a recipient is `{address, original}`, elsewhere an address. Each once. */
export function recipientsOf({ recipients, recipient }: RecordedEvent): string[] {
  const list: unknown[] = [...(Array.isArray(recipients) ? recipients : []), recipient]
  const addresses = list.map((one) => textIn(one) ?? textIn(recordIn(one).address))
  return [...new Set(addresses.filter((address) => address !== undefined))]
}

const valueIn = (key: EventField, value: unknown): EventValue[] => {
  const text = textIn(value)
  return text === undefined ? [] : [{ key, value: text }]
}

const textIn = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const recordIn = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
