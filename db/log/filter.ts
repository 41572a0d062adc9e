import { type AddressBlock, parseBlock } from '@postern/contract/ip-address.ts'
import type { Values } from './duckdb.ts'

/** Which events. Each condition that is there must hold. Addresses, domains and words match in any case. */
export type EventFilter = {
  /** In ms, inclusive. */
  since?: number | undefined
  /** In ms, exclusive. */
  until?: number | undefined
  /** Any of them. */
  types?: readonly string[] | undefined
  level?: 'normal' | 'verbose' | 'debug' | undefined
  worker?: string | undefined
  /** The id of a message. */
  message?: string | undefined
  /** '' is the null sender. */
  sender?: string | undefined
  /** A recipient's address: where it is delivered, or as it was in RCPT TO. */
  recipient?: string | undefined
  /** The domain of a recipient. */
  domain?: string | undefined
  /** An address or a CIDR block. */
  client?: string | undefined
  login?: string | undefined
  rule?: string | undefined
  reason?: string | undefined
  /** A reply code (550) or an enhanced status code (5.7.1). */
  code?: string | undefined
  /** A part of the subject. */
  subject?: string | undefined
  /** Words, each of which occurs in a value of the event or in its type. */
  q?: string | undefined
}

/** A condition in SQL, and the values of its parameters. */
export type Condition = { sql: string; values: Values }

/**
 * The filter as a condition on the log's columns.
 * @throws RangeError for a client or a code that cannot be one.
 */
export function conditionOf(filter: EventFilter): Condition {
  const values: Values = {}
  const value = (given: string | number): string => {
    const name = `p${Object.keys(values).length + 1}`
    values[name] = given
    return `$${name}`
  }
  const conditions = [
    ...timeConditions(filter, value),
    ...textConditions(filter, value),
    ...(filter.types ? [`"type" in (${filter.types.map(value).join(', ') || 'null'})`] : []),
    ...(filter.client === undefined ? [] : [clientCondition(filter.client, value)]),
    ...(filter.code === undefined ? [] : [codeCondition(filter.code, value)]),
    ...wordsOf(filter.q).map((word) => wordCondition(word, value)),
  ]
  return { sql: conditions.join(' and ') || 'true', values }
}

type Bind = (given: string | number) => string

const timeOf = (ms: number, value: Bind): string => `make_timestamp_ms(${value(Math.trunc(ms))}::bigint)::timestamp_ms`

function timeConditions({ since, until }: EventFilter, value: Bind): string[] {
  return [
    ...(since === undefined ? [] : [`"at" >= ${timeOf(since, value)}`]),
    ...(until === undefined ? [] : [`"at" < ${timeOf(until, value)}`]),
  ]
}

/** The filters that compare one column with one text. */
const comparisons = {
  level: (v) => `"level" = ${v}`,
  worker: (v) => `worker = ${v}`,
  message: (v) => `message_id = lower(${v})`,
  sender: (v) => `sender = lower(${v})`,
  recipient: (v) => `list_contains(recipient, lower(${v}))`,
  domain: (v) => `list_contains(domain, lower(${v}))`,
  login: (v) => `lower(login) = lower(${v})`,
  rule: (v) => `"rule" = ${v}`,
  reason: (v) => `reason = ${v}`,
  subject: (v) => `contains(lower(subject), lower(${v}))`,
} as const satisfies Partial<Record<keyof EventFilter, (value: string) => string>>

function textConditions(filter: EventFilter, value: Bind): string[] {
  return Object.entries(comparisons).flatMap(([name, condition]) => {
    const wanted = filter[name as keyof typeof comparisons]
    return wanted === undefined ? [] : [condition(value(wanted))]
  })
}

function codeCondition(code: string, value: Bind): string {
  if (/^[2-5]\d\d$/.test(code)) return `reply_code = ${value(Number(code))}::smallint`
  if (/^[245]\.\d{1,3}\.\d{1,3}$/.test(code)) return `enhanced_code = ${value(code)}`
  throw new RangeError(`"${code.slice(0, 40)}" is not a reply code (550) or an enhanced status code (5.7.1)`)
}

function clientCondition(text: string, value: Bind): string {
  const block = parseBlock(text)
  if (!block) throw new RangeError(`"${text.slice(0, 60)}" is not an address or a CIDR block`)
  const isV4 = block.address.kind() === 'ipv4'
  if (block.bits === (isV4 ? 32 : 128)) return `client_ip = ${value(block.address.toString())}`
  const [lowest, highest] = boundsOf(block)
  return isV4
    ? `(not contains(client_ip, ':') and ${ipv4Hex} between ${value(lowest)} and ${value(highest)})`
    : `(contains(client_ip, ':') and ${ipv6Hex} between ${value(lowest)} and ${value(highest)})`
}

/** The lowest and the highest address of a block, in hexadecimal digits. */
function boundsOf({ address, bits }: AddressBlock): [string, string] {
  const hex = (bytes: number[]) => bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')
  const bytes = address.toByteArray()
  const highest = bytes.map((byte, i) => byte | (0xff >> Math.min(8, Math.max(0, bits - i * 8))))
  return [hex(bytes), hex(highest)]
}

/** An address of the log as hexadecimal digits, all of them: they compare like numbers. */
const ipv4Hex = `array_to_string(list_transform(string_split(client_ip, '.'), lambda part: printf('%02x', coalesce(try_cast(part as integer), 0))), '')`
const groups = (side: 1 | 2) =>
  `list_filter(string_split(split_part(client_ip, '::', ${side}), ':'), lambda part: part <> '')`
const ipv6Hex = `array_to_string(list_transform(list_concat(${groups(1)},
  list_resize([]::varchar[], greatest(0, 8 - len(${groups(1)}) - len(${groups(2)})), '0'), ${groups(2)}),
  lambda part: lpad(lower(part), 4, '0')), '')`

/** Separated by white space; each once. */
function wordsOf(q = ''): string[] {
  return [...new Set(q.split(/\s+/u).filter((word) => word !== ''))]
}

/**
 * The fields are JSON: a word is looked for as JSON writes it, first in the whole text, which is cheap, then without the
 * names of the fields, so that `reply` does not find every event that has a reply.
 */
function wordCondition(word: string, value: Bind): string {
  const text = word.toWellFormed()
  const inJson = value(JSON.stringify(text).slice(1, -1))
  const inType = value(text)
  return `((contains(lower(fields), lower(${inJson})) and contains(lower(regexp_replace(fields, '"[A-Za-z0-9]+":', ' ', 'g')), lower(${inJson})))
    or contains("type", lower(${inType})))`
}
