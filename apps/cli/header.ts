/**
 * Reads the header of a submitted message: its recipients, and fields that must be removed before sending (RFC 5322
 * §3.6.3).
 */

type Field = { name: string; text: string }

/**
 * Splits a message into header fields and `rest`, which is the body with the empty line before it. A field keeps its
 * folded lines and is otherwise unchanged.
 */
export function splitMessage(message: string): { fields: Field[]; rest: string } {
  const fields: Field[] = []
  let from = 0
  while (from < message.length) {
    let end = message.indexOf('\n', from)
    while (end !== -1 && (message[end + 1] === ' ' || message[end + 1] === '\t')) end = message.indexOf('\n', end + 1)
    const text = message.slice(from, end === -1 ? message.length : end + 1)
    const name = /^([!-9;-~]+)[ \t]*:/.exec(text)?.[1]
    if (name === undefined) break
    fields.push({ name: name.toLowerCase(), text })
    from += text.length
  }
  const rest = message.slice(from)
  // A message without a header is all body.
  return { fields, rest: rest === '' || /^\r?\n/.test(rest) ? rest : `\r\n${rest}` }
}

/**
 * Returns the recipients in To, Cc and Bcc, or in the Resent- fields if there are any. Keeps their order and drops
 * duplicates.
 */
export function recipientsIn(fields: readonly Field[]): string[] {
  const resent = fields.filter(({ name }) => /^resent-(to|cc|bcc)$/.test(name))
  const asked = resent.length > 0 ? resent : fields.filter(({ name }) => /^(to|cc|bcc)$/.test(name))
  return [...new Set(asked.flatMap(({ text }) => addressesIn(text.slice(text.indexOf(':') + 1))))]
}

export const isSecret = ({ name }: Field): boolean => name === 'bcc' || name === 'resent-bcc'

/**
 * Returns the addresses in a list. Understands names, comments, groups and quotes. Text that is not an address is
 * returned unchanged.
 */
export function addressesIn(list: string): string[] {
  const found: string[] = []
  let plain = ''
  let angle: string | undefined
  const end = () => {
    const address = (angle ?? plain).replace(/^@[^:]*:/, '').trim()
    if (address !== '') found.push(address)
    plain = ''
    angle = undefined
  }
  for (const token of tokensOf(list)) {
    if (token === ',' || token === ';') end()
    else if (token === ':') plain = ''
    else if (token.startsWith('<'))
      angle = token.slice(1, token.endsWith('>') ? -1 : undefined).replace(/\r?\n[ \t]*/g, '')
    else if (!token.startsWith('(')) plain += token
  }
  end()
  return found
}

/** Yields quoted text, comments (which nest), addresses in angle brackets, separators, and the text between them. */
function* tokensOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const from = at
    const first = text[at] as string
    if (first === '"') at = endOf(text, at, '"')
    else if (first === '<') at = endOf(text, at, '>')
    else if (first === '(') at = endOfComment(text, at)
    else if (',;:'.includes(first)) at++
    else while (at < text.length && !'"<(,;:'.includes(text[at] as string)) at++
    const token = text.slice(from, at)
    // White space in a name does not matter, and an address must not contain any.
    yield /^["<(,;:]/.test(token) ? token : token.replace(/\s+/g, '')
  }
}

function endOf(text: string, from: number, close: string): number {
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (close === '>' && text[at] === '"') at = endOf(text, at, '"') - 1
    else if (text[at] === close) return at + 1
  }
  return text.length
}

function endOfComment(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '(') depth++
    else if (text[at] === ')' && --depth === 0) return at + 1
  }
  return text.length
}
