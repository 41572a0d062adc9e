import { randomUUID } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { hostNameOf } from '@postern/contract/host-name.ts'
import { ApiError, type Client } from './client.ts'
import { isSecret, recipientsIn, splitMessage } from './header.ts'
import type { SendmailOptions } from './sendmail-options.ts'
import { Exit, sysexits } from './sysexits.ts'

/**
 * The sendmail command that other programs call: reads a message on standard input and returns a sysexits.h exit code.
 */

/** Submits the message. Resolves when it is durable. Otherwise throws Exit, and nothing was accepted. */
export async function sendmail(client: Client, options: SendmailOptions, input: Buffer): Promise<number> {
  // latin1 keeps every byte unchanged.
  const { fields, rest } = splitMessage(endAtDot(input.toString('latin1').replace(/^From .*\n/, ''), options))
  const listed = [...options.recipients, ...(options.fromHeader ? recipientsIn(fields) : [])]
  const recipients = [...new Set(listed.map(utf8).map(qualified))]
  if (recipients.length === 0)
    throw new Exit(
      sysexits.usage,
      options.fromHeader
        ? 'no recipient in To, Cc or Bcc'
        : 'no recipient; give one, or use -t to take recipients from the header',
    )
  const sender = options.sender === undefined ? qualified(userName()) : options.sender && qualified(options.sender)
  const kept = options.fromHeader ? fields.filter((field) => !isSecret(field)) : fields
  const from = kept.some(({ name }) => name === 'from') ? '' : fromField(sender, options.fullName)
  const bytes = Buffer.concat([Buffer.from(from), Buffer.from(kept.map(({ text }) => text).join('') + rest, 'latin1')])
  await submit(client, { sender, recipients, ...dsnOptions(options) }, bytes)
  return 0
}

type Submitted = { sender: string; recipients: readonly string[]; notify?: string; ret?: string; envid?: string }

function dsnOptions({ notify, ret, envid }: SendmailOptions): Pick<Submitted, 'notify' | 'ret' | 'envid'> {
  return {
    ...(notify === undefined ? {} : { notify }),
    ...(ret === undefined ? {} : { ret }),
    ...(envid === undefined ? {} : { envid }),
  }
}

/**
 * Submits a message. Throws Exit with the matching code. Without an answer it tries once more; the idempotency key
 * prevents a duplicate.
 */
export async function submit(
  client: Client,
  { sender, recipients, notify, ...dsn }: Submitted,
  bytes: Buffer,
): Promise<string> {
  const query = new URLSearchParams({
    sender,
    recipients: recipients.join(','),
    ...(notify === undefined ? {} : { notify }),
    ...dsn,
  }).toString()
  const key = randomUUID()
  // A long URL may not fit into the request header.
  const isLong = query.length > 4000 || recipients.some((recipient) => recipient.includes(','))
  const inJson = () => ({
    sender,
    recipients,
    ...(notify === undefined ? {} : { notify: notify.split(',') }),
    ...dsn,
    messageBase64: bytes.toString('base64'),
  })
  const send = () =>
    isLong ? client.submit('', JSON.stringify(inJson()), key) : client.submit(`?${query}`, bytes, key)
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

/** Adds the local domain to a name without one. */
function qualified(address: string): string {
  return address.includes('@') ? address : `${address}@${process.env.POSTERN_ORIGIN || hostNameOf('', hostname())}`
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // The user id has no name, as happens in containers.
    return 'postmaster'
  }
}

function fromField(sender: string, fullName: string | undefined): string {
  const address = sender || qualified('MAILER-DAEMON')
  if (!fullName) return `From: ${address}\r\n`
  return `From: "${fullName.replace(/[\r\n]+/g, ' ').replace(/["\\]/g, '\\$&')}" <${address}>\r\n`
}
