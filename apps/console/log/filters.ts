import { type EventType, eventTypeNames, eventTypes } from '@postern/contract/events.ts'
import { parseBlock } from '@postern/contract/ip-address.ts'
import type { Query } from '../api/client.ts'
import { parseRange, type RangeSearch } from './range.ts'

/** The filters of a search, and a search as it is in the URL. */

export type Field<K extends string = string> = {
  key: K
  label: string
  /** The values to choose from. Without it: text. */
  options?: 'types' | 'levels' | 'workers' | 'outcomes'
  placeholder?: string
  /** Behind "More filters". */
  more?: true
}

export const eventFields = [
  { key: 'q', label: 'Text', placeholder: 'Address, reply, subject …' },
  { key: 'type', label: 'Type', options: 'types' },
  { key: 'sender', label: 'From', placeholder: 'address, or <>' },
  { key: 'recipient', label: 'To', placeholder: 'address' },
  { key: 'domain', label: 'Recipient domain', more: true },
  { key: 'client', label: 'Client', placeholder: 'address or CIDR', more: true },
  { key: 'login', label: 'Login', more: true },
  { key: 'rule', label: 'Rule', more: true },
  { key: 'reason', label: 'Reason', more: true },
  { key: 'code', label: 'Reply code', placeholder: '550 or 5.7.1', more: true },
  { key: 'message', label: 'Message id', more: true },
  { key: 'worker', label: 'Worker', options: 'workers', more: true },
  { key: 'level', label: 'Log level', options: 'levels', more: true },
] as const satisfies readonly Field[]

export const messageFields = [
  { key: 'sender', label: 'From', placeholder: 'address, or <>' },
  { key: 'recipient', label: 'To', placeholder: 'address' },
  { key: 'subject', label: 'Subject', placeholder: 'a part of it' },
  { key: 'outcome', label: 'Outcome', options: 'outcomes' },
  { key: 'client', label: 'Client', placeholder: 'address or CIDR' },
  { key: 'q', label: 'Text', placeholder: 'Any words' },
] as const satisfies readonly Field[]

export type EventField = (typeof eventFields)[number]['key']
export type MessageField = (typeof messageFields)[number]['key']
export type EventFilter = Partial<Record<EventField, string | undefined>>
type MessageFilter = Partial<Record<MessageField, string | undefined>>

export const outcomes = ['waiting', 'delivered', 'bounced', 'discarded', 'refused'] as const

/** The columns that events can be counted by, each with the filter for a value of it. */
export const countings = [
  { by: 'type', label: 'Type', filter: 'type' },
  { by: 'sender', label: 'Sender', filter: 'sender' },
  { by: 'recipient', label: 'Recipient', filter: 'recipient' },
  { by: 'domain', label: 'Recipient domain', filter: 'domain' },
  { by: 'client_ip', label: 'Client', filter: 'client' },
  { by: 'login', label: 'Login', filter: 'login' },
  { by: 'rule', label: 'Rule', filter: 'rule' },
  { by: 'reason', label: 'Reason', filter: 'reason' },
  { by: 'reply_code', label: 'Reply code', filter: 'code' },
  { by: 'enhanced_code', label: 'Enhanced status code', filter: 'code' },
  { by: 'remote_host', label: 'Remote host', filter: 'q' },
  { by: 'worker', label: 'Worker', filter: 'worker' },
  { by: 'level', label: 'Log level', filter: 'level' },
] as const satisfies readonly { by: string; label: string; filter: EventField }[]
export type Counting = (typeof countings)[number]['by']

/** The search of the events page, as in its URL. */
export type EventsSearch = EventFilter &
  RangeSearch & {
    /** The column that events are counted by. */
    by?: Counting | undefined
    /** The columns of the table, separated by commas. */
    columns?: string | undefined
  }
/** The search of the messages page, as in its URL. */
export type MessagesSearch = MessageFilter & RangeSearch

export function parseEventsSearch(search: Record<string, unknown>): EventsSearch {
  return filledOf({
    ...textsOf(search, eventFields),
    ...parseRange(search),
    by: countings.find(({ by }) => by === search.by)?.by,
    columns: textOf(search.columns),
  })
}

export function parseMessagesSearch(search: Record<string, unknown>): MessagesSearch {
  return filledOf({ ...textsOf(search, messageFields), ...parseRange(search) })
}

function textsOf<K extends string>(search: Record<string, unknown>, fields: readonly Field<K>[]) {
  const texts = fields.map(({ key }) => [key, textOf(search[key])])
  return Object.fromEntries(texts) as Partial<Record<K, string>>
}

/** The router reads `code=550` as a number. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined
}

/** Without what is not set, so that the URL is short. */
export function filledOf<T extends Record<string, unknown>>(search: T): T {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined && value !== '')) as T
}

const nullSender = '<>'

/** The filter as the API takes it: the null sender is an empty one. */
export function queryOf(search: Record<string, unknown>, fields: readonly Field[]): Query {
  const texts: Record<string, string | undefined> = textsOf(search, fields)
  return { ...texts, ...(texts.sender === nullSender ? { sender: '' } : {}) }
}

/** What the page shows of a value: the null sender has a name, a list of types their titles. */
export function valueText(key: string, value: string): string {
  if (key === 'sender' && (value === '' || value === nullSender)) return '<> (null sender)'
  return key === 'type' ? value.split(',').map(typeText).join(', ') : value
}

function typeText(type: string): string {
  if (type.endsWith('.')) return `all ${type}*`
  return Object.hasOwn(eventTypes, type) ? eventTypes[type as EventType].title : type
}

/** The value of a filter for a value of an event. */
export const filterValue = (key: EventField, value: string | number): string =>
  key === 'sender' && value === '' ? nullSender : String(value)

export type Chip = { key: string; label: string; value: string }

/** The filters that are set, in the order of the fields. */
export function chipsOf(search: Record<string, unknown>, fields: readonly Field[]): Chip[] {
  const texts: Record<string, string | undefined> = textsOf(search, fields)
  return fields.flatMap(({ key, label }) => {
    const value = texts[key]
    return value === undefined ? [] : [{ key, label, value: valueText(key, value) }]
  })
}

const codePattern = /^([2-5]\d\d|[245]\.\d{1,3}\.\d{1,3})$/
const idPattern = /^[0-9a-fA-F-]{36}$/

/** What is wrong with a value, as the API would say, before it is asked. */
export function problemOf(key: string, value: string): string | undefined {
  if (key === 'client' && parseBlock(value) === null) return 'Must be an IP address or a CIDR block'
  if (key === 'code' && !codePattern.test(value)) return 'Must be like 550 or 5.7.1'
  if (key === 'message' && !idPattern.test(value)) return 'Must be the id of a message'
  return undefined
}

/** Beginnings that more than one type has: `delivery.`. */
export const typeGroups = [...Map.groupBy(eventTypeNames, (type) => type.slice(0, type.indexOf('.') + 1))]
  .filter(([, types]) => types.length > 1)
  .map(([group]) => group)

const streamed = new Set<string>(['q', 'type', 'worker', 'message', 'level'])

/** Whether new events can be shown as they come: the stream has not all filters, and never comes to an end. */
export function canFollow(search: EventsSearch): boolean {
  if (search.until !== undefined) return false
  return eventFields.every(({ key }) => search[key] === undefined || streamed.has(key))
}
