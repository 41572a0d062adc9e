import { fillReply, type Reply, type ReplyName, replies } from './replies.ts'
import type { ReplyValues } from './verdict.ts'

/** How replies of the catalogue stand on the wire (RFC 5321 §4.2.1): no other text ever does. */

/** RFC 5321 §4.5.3.1.5: 512 octets with CRLF. */
const longestReply = 510

/** Replies without places to fill, as they are sent. */
const constant = new Map<ReplyName, string>(
  (Object.keys(replies) as ReplyName[])
    .filter((name) => !replies[name].text.includes('{'))
    .map((name) => [name, `${line(replies[name], ' ')}\r\n`]),
)

function line({ code, enhanced, text }: Reply, separator: ' ' | '-'): string {
  return `${code}${separator}${enhanced ? `${enhanced} ` : ''}${text}`.slice(0, longestReply)
}

/** One reply, with its CRLF. */
export function wireReply(name: ReplyName, values?: ReplyValues): string {
  return constant.get(name) ?? `${line(fillReply(name, values), ' ')}\r\n`
}

/** Several lines of one reply; all have the code of the last. */
export function wireLines(lines: readonly { reply: ReplyName; values?: ReplyValues }[]): string {
  const last = lines.length - 1
  return lines.map(({ reply, values }, i) => `${line(fillReply(reply, values), i < last ? '-' : ' ')}\r\n`).join('')
}

/** The reply to EHLO: a greeting and one keyword a line. */
export function wireHello(values: ReplyValues, keywords: readonly string[]): string {
  const greeting = line(fillReply('hello', values), keywords.length > 0 ? '-' : ' ')
  const rest = keywords.map((keyword, i) => `250${i < keywords.length - 1 ? '-' : ' '}${keyword}\r\n`)
  return `${greeting}\r\n${rest.join('')}`
}
