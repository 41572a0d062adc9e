import { randomUUID } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { ApiError, type Client } from './client.ts'
import { isSecret, recipientsIn, splitMessage } from './header.ts'
import { Exit, sysexits } from './sysexits.ts'

/** The command as other programs know it under the name sendmail: a message on standard input, an exit code of sysexits.h. */

export type SendmailOptions = {
  mode: 'message' | 'dialogue' | 'queue' | 'run'
  fromHeader: boolean
  /** A line that holds a dot alone is no end. */
  ignoreDots: boolean
  sender: string | undefined
  fullName: string | undefined
  recipients: string[]
}

/** Options that other mailers know, whose value changes nothing here. */
const ignored = /^-(?:v|n|m|U|G|e[a-z]?|o(?!i).*|B.*|h.*|A[cm]|L.*|p.*|x.*|X.*)$/
const ignoredWithValue = /^-[BhLpXx]$/

/** Throws Exit with EX_USAGE for what we do not know, or know and cannot do. */
export function sendmailOptions(args: readonly string[]): SendmailOptions {
  const options: SendmailOptions = {
    mode: 'message',
    fromHeader: false,
    ignoreDots: false,
    sender: undefined,
    fullName: undefined,
    recipients: [],
  }
  const waiting = [...args]
  const takeValue = (option: string) => {
    const value = option.length > 2 ? option.slice(2) : waiting.shift()
    if (value === undefined) throw new Exit(sysexits.usage, `${option} needs a value`)
    return value
  }
  for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
    if (one === '--') options.recipients.push(...waiting.splice(0))
    else if (!one.startsWith('-')) options.recipients.push(one)
    else if (/^-[it]+$/.test(one)) {
      options.fromHeader ||= one.includes('t')
      options.ignoreDots ||= one.includes('i')
    } else if (one === '-oi') options.ignoreDots = true
    else if (/^-[fr]/.test(one)) options.sender = takeValue(one).replace(/^<(.*)>$/, '$1')
    else if (one.startsWith('-F')) options.fullName = takeValue(one)
    else if (one === '-bm') options.mode = 'message'
    else if (one === '-bs') options.mode = 'dialogue'
    else if (one === '-bp') options.mode = 'queue'
    else if (one === '-q') options.mode = 'run'
    else if (ignoredWithValue.test(one)) takeValue(one)
    else if (!ignored.test(one)) throw new Exit(sysexits.usage, `${one} is not an option we know; see postern --help`)
  }
  return options
}

/** Hands the message in. Resolves when it is durable; throws Exit otherwise, and then nothing of it was taken. */
export async function sendmail(client: Client, options: SendmailOptions, input: Buffer): Promise<number> {
  // As latin1, every octet stays what it is.
  const { fields, rest } = splitMessage(endAtDot(input.toString('latin1').replace(/^From .*\n/, ''), options))
  const listed = [...options.recipients, ...(options.fromHeader ? recipientsIn(fields) : [])]
  const recipients = [...new Set(listed.map(utf8).map(qualified))]
  if (recipients.length === 0)
    throw new Exit(
      sysexits.usage,
      options.fromHeader
        ? 'no recipient in To, Cc or Bcc'
        : 'no recipient; name one, or take them from the header with -t',
    )
  const sender = options.sender === undefined ? qualified(userName()) : options.sender && qualified(options.sender)
  const kept = options.fromHeader ? fields.filter((field) => !isSecret(field)) : fields
  const from = kept.some(({ name }) => name === 'from') ? '' : fromField(sender, options.fullName)
  const octets = Buffer.concat([Buffer.from(from), Buffer.from(kept.map(({ text }) => text).join('') + rest, 'latin1')])
  await submit(client, { sender, recipients }, octets)
  return 0
}

/** Throws Exit with the code that fits. Tried twice when there was no answer: the key keeps it from coming twice. */
export async function submit(
  client: Client,
  { sender, recipients }: { sender: string; recipients: readonly string[] },
  octets: Buffer,
): Promise<string> {
  const envelope = { sender, recipients: recipients.join(',') }
  const query = new URLSearchParams(envelope).toString()
  const key = randomUUID()
  // A URL has to fit into a request's head.
  const isLong = query.length > 4000 || recipients.some((recipient) => recipient.includes(','))
  const send = () =>
    isLong
      ? client.submit('', JSON.stringify({ sender, recipients, messageBase64: octets.toString('base64') }), key)
      : client.submit(`?${query}`, octets, key)
  try {
    const { id } = await send().catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 0) return send()
      throw error
    })
    return id
  } catch (error) {
    throw error instanceof ApiError ? new Exit(codeOf(error), error.message) : error
  }
}

function codeOf({ status, paths }: ApiError): number {
  if (status === 401 || status === 403) return sysexits.noPermission
  if (status === 422) return paths.some((path) => path.startsWith('recipients')) ? sysexits.noUser : sysexits.data
  return status >= 400 && status < 500 && status !== 429 ? sysexits.data : sysexits.tryAgain
}

function endAtDot(message: string, { ignoreDots }: SendmailOptions): string {
  if (ignoreDots) return message
  const end = /(?:^|\n)\.\r?(?:\n|$)/.exec(message)
  return end ? message.slice(0, end.index + (message[end.index] === '\n' ? 1 : 0)) : message
}

const utf8 = (text: string): string => (/[\x80-\xff]/.test(text) ? Buffer.from(text, 'latin1').toString() : text)

/** A name without a domain is of this house. */
function qualified(address: string): string {
  return address.includes('@') ? address : `${address}@${process.env.POSTERN_ORIGIN || hostname()}`
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A user id without a name, as in containers.
    return 'postmaster'
  }
}

function fromField(sender: string, fullName: string | undefined): string {
  const address = sender || qualified('MAILER-DAEMON')
  if (!fullName) return `From: ${address}\r\n`
  return `From: "${fullName.replace(/[\r\n]+/g, ' ').replace(/["\\]/g, '\\$&')}" <${address}>\r\n`
}
