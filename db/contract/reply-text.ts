import { fillReply, type Reply, type ReplyName, replies } from './replies.ts'
import type { ReplyValues } from './verdict.ts'

/** Formats catalogue replies for the wire (RFC 5321 §4.2.1). The server sends no other reply text. */

/** RFC 5321 §4.5.3.1.5: 512 bytes including CRLF. */
const longestReply = 510

/** Replies without placeholders, as sent. */
const constant = new Map<ReplyName, string>(
  (Object.keys(replies) as ReplyName[])
    .filter((name) => !replies[name].text.includes('{'))
    .map((name) => [name, `${line(replies[name], ' ')}\r\n`]),
)

function line({ code, enhanced, text }: Reply, separator: ' ' | '-'): string {
  return `${code}${separator}${enhanced ? `${enhanced} ` : ''}${text}`.slice(0, longestReply)
}

/** Formats one reply with its CRLF. */
export function wireReply(name: ReplyName, values?: ReplyValues): string {
  return constant.get(name) ?? `${line(fillReply(name, values), ' ')}\r\n`
}

/** Formats a multi-line reply. All lines have the code of the last. */
export function wireLines(lines: readonly { reply: ReplyName; values?: ReplyValues }[]): string {
  const last = lines.length - 1
  return lines.map(({ reply, values }, i) => `${line(fillReply(reply, values), i < last ? '-' : ' ')}\r\n`).join('')
}

/** Formats the reply to EHLO: a greeting, then one keyword for each line. */
export function wireHello(values: ReplyValues, keywords: readonly string[]): string {
  const greeting = line(fillReply('hello', values), keywords.length > 0 ? '-' : ' ')
  const rest = keywords.map((keyword, i) => `250${i < keywords.length - 1 ? '-' : ' '}${keyword}\r\n`)
  return `${greeting}\r\n${rest.join('')}`
}
