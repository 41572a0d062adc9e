/**
 * Reads SMTP replies (RFC 5321 §4.2) from the bytes of a remote. Promises: bounded memory whatever is sent; anything that is
 * not a reply throws `BadReply`. It never interprets the text beyond code and enhanced code.
 */

export type Reply = {
  /** 200…599. */
  code: number
  /** RFC 3463, only when the remote sent one whose class agrees with the code. */
  enhanced?: string
  /** The text of each line, without codes' separators, control characters replaced. */
  lines: string[]
}

/** The remote sent something that is not an SMTP reply, or one that is too long. */
export class BadReply extends Error {
  override readonly name = 'BadReply'
  /** Replies that were complete before it, in the same bytes: they count. */
  before: Reply[] = []
}

/** RFC 5321 §4.5.3.1.5 allows 512 bytes a line; real servers exceed it. */
const longestLine = 4096
const maxLines = 512
const maxBytes = 65_536

export class ReplyReader {
  #rest: Buffer | undefined
  #code = 0
  #lines: string[] = []
  #bytes = 0

  /** Takes bytes and gives the replies they complete. Throws BadReply. */
  feed(chunk: Buffer): Reply[] {
    const data = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk
    this.#rest = undefined
    const replies: Reply[] = []
    try {
      this.#read(data, replies)
    } catch (error) {
      if (error instanceof BadReply) error.before = replies
      throw error
    }
    return replies
  }

  #read(data: Buffer, replies: Reply[]): void {
    let from = 0
    for (;;) {
      const end = data.indexOf(10, from)
      if (end < 0) break
      const line = data.toString('utf8', from, end > from && data[end - 1] === 13 ? end - 1 : end)
      if (end - from > longestLine) throw new BadReply(`reply line of ${end - from} bytes`)
      const reply = this.#line(line, end - from)
      if (reply) replies.push(reply)
      from = end + 1
    }
    if (from < data.length) {
      if (data.length - from > longestLine) throw new BadReply(`reply line longer than ${longestLine} bytes`)
      this.#rest = from === 0 ? data : data.subarray(from)
    }
  }

  #line(line: string, bytes: number): Reply | undefined {
    const code = codeOf(line)
    const separator = line.charCodeAt(3)
    if (code === 0 || (line.length > 3 && separator !== 32 && separator !== 45))
      throw new BadReply(`not an SMTP reply: ${printable(line.slice(0, 100))}`)
    if (this.#lines.length > 0 && code !== this.#code) throw new BadReply(`reply changes from ${this.#code} to ${code}`)
    this.#code = code
    this.#bytes += bytes
    this.#lines.push(printable(line.slice(4)))
    if (this.#lines.length > maxLines || this.#bytes > maxBytes) throw new BadReply('reply has no end')
    if (separator === 45) return undefined
    const reply: Reply = { code, lines: this.#lines }
    const enhanced = enhancedOf(this.#lines[0] ?? '', code)
    if (enhanced) reply.enhanced = enhanced
    this.#lines = []
    this.#bytes = 0
    return reply
  }
}

function codeOf(line: string): number {
  if (line.length < 3) return 0
  const [a, b, c] = [line.charCodeAt(0) - 48, line.charCodeAt(1) - 48, line.charCodeAt(2) - 48]
  return a >= 2 && a <= 5 && b >= 0 && b <= 9 && c >= 0 && c <= 9 ? a * 100 + b * 10 + c : 0
}

function enhancedOf(text: string, code: number): string | undefined {
  const first = text.charCodeAt(0) - 48
  if (first !== Math.floor(code / 100) || text.charCodeAt(1) !== 46) return undefined
  return /^[245]\.\d{1,3}\.\d{1,3}(?= |$)/.exec(text)?.[0]
}

function printable(text: string): string {
  return /[\x00-\x08\x0a-\x1f\x7f]/.test(text) ? text.replace(/[\x00-\x08\x0a-\x1f\x7f]/g, '?') : text
}

/** The whole reply as one text, as events and DSNs keep it; at most 2000 characters. */
export function replyText(reply: Reply): string {
  const text =
    reply.lines.length === 1
      ? `${reply.code} ${reply.lines[0]}`
      : reply.lines.map((line, i) => `${reply.code}${i < reply.lines.length - 1 ? '-' : ' '}${line}`).join('\n')
  return text.slice(0, 2000)
}
