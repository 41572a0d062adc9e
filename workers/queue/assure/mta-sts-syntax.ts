/** The grammar of MTA-STS: its TXT record (RFC 8461 §3.1) and its policy (§3.2). What does not follow it is no policy; what it lets others add is skipped. */

/** `sts-ext-name` and `sts-policy-ext-name`. */
const name = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/
const recordVersion = /^v=STSv1[ \t]*;/
const recordId = /^[A-Za-z0-9]{1,32}$/
const recordValue = /^[\x21-\x3a\x3c\x3e-\x7e]+$/
/** No control characters, and no blanks but spaces within. */
const policyValue = /^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$/
const seconds = /^[0-9]{1,10}$/
/** `["*."] Domain`, Domain as in RFC 5321 §4.1.2. */
const mxPattern = /^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i
const longestAge = 31_557_600

/** The policy's id in the TXT records of `_mta-sts`: none unless exactly one is a record of this version, and that one is well formed. */
export function policyIdIn(records: readonly string[]): string | undefined {
  const ours = records.filter((record) => recordVersion.test(record))
  return ours.length === 1 ? idIn(ours[0] as string) : undefined
}

function idIn(record: string): string | undefined {
  // Blanks belong to the semicolon beside them; after the last semicolon there may be nothing.
  const fields = record.split(/[ \t]*;[ \t]*/).slice(1)
  if (fields.at(-1) === '') fields.pop()
  let id: string | undefined
  for (const field of fields) {
    const equals = field.indexOf('=')
    const [key, value] = [field.slice(0, Math.max(0, equals)), field.slice(equals + 1)]
    if (!name.test(key) || !recordValue.test(value)) return undefined
    if (key !== 'id' || id !== undefined) continue
    if (!recordId.test(value)) return undefined
    id = value
  }
  return id
}

export type PolicyText = { mode: 'enforce' | 'testing' | 'none'; mx: string[]; maxAge: number }

/** Throws an Error that says what is wrong. */
export function parsePolicy(text: string): PolicyText {
  const first = new Map<string, string>()
  const mx = new Set<string>()
  for (const line of linesOf(text)) {
    const { key, value } = fieldIn(line)
    if (key === 'mx') mx.add(checked(value, mxPattern, 'mx').toLowerCase())
    // Of a field that stands twice the first counts.
    else if (!first.has(key)) first.set(key, value)
  }
  checked(first.get('version'), /^STSv1$/, 'version')
  const mode = checked(first.get('mode'), /^(enforce|testing|none)$/, 'mode') as PolicyText['mode']
  const maxAge = Number(checked(first.get('max_age'), seconds, 'max_age'))
  if (maxAge > longestAge) throw new Error(`max_age is ${maxAge} but may be ${longestAge} at most`)
  if (mode !== 'none' && mx.size === 0) throw new Error('there is no mx')
  return { mode, mx: [...mx], maxAge }
}

/** Lines end in LF or CRLF. Empty ones at the end are tolerated: editors add them, and a policy refused is a domain unprotected. */
function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/)
  while (lines.at(-1) === '') lines.pop()
  return lines
}

function fieldIn(line: string): { key: string; value: string } {
  const colon = line.indexOf(':')
  const key = line.slice(0, Math.max(0, colon))
  const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')
  if (!name.test(key) || !policyValue.test(value)) throw new Error(`not a field: ${JSON.stringify(line.slice(0, 100))}`)
  return { key, value }
}

function checked(value: string | undefined, pattern: RegExp, key: string): string {
  if (value === undefined) throw new Error(`there is no ${key}`)
  if (!pattern.test(value)) throw new Error(`${key} is ${JSON.stringify(value.slice(0, 100))}`)
  return value
}
