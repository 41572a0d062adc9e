import { createHash, randomBytes } from 'node:crypto'
import { access, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { foldLocal } from '@postern/contract/address.ts'
import type { Recipient } from '@postern/contract/envelope.ts'
import { waitingCauseOf } from '@postern/contract/waiting-causes.ts'
import { fieldsOf, HeaderEnd } from '@postern/mailauth/header.ts'
import { keyOfText } from '@postern/policy/directory.ts'
import { isFull, makeDirectory, replaceFile, writeAll } from '@postern/runtime/disk.ts'
import { openDelivered } from '../message/header-edits.ts'
import type { DeliveryJob } from '../message/message.ts'
import { domainOf } from '../message/message.ts'
import { deferredOutcome, type Outcome, type Outcomes } from '../message/outcome.ts'
import type { AttemptContext } from './attempt-context.ts'

/** Delivery into the mailbox of an account, `mail/<domain>/<user>/`: written in `tmp`, synced, moved to `new`. Nothing in an address can leave that directory. */

export async function deliverToMaildir(job: DeliveryJob, domain: string, context: AttemptContext): Promise<Outcomes> {
  const outcomes = new Map<number, Outcome>()
  for (const r of job.recipients) {
    const to = job.mail.envelope.recipients[r] as Recipient
    outcomes.set(r, await deliverOne(job, { r, to, domain }, context))
  }
  return { via: { host: 'maildir' }, outcomes }
}

async function deliverOne(
  { mail }: DeliveryJob,
  { r, to, domain }: { r: number; to: Recipient; domain: string },
  context: AttemptContext,
): Promise<Outcome> {
  const { delimiter, hostname, directory: entries } = context.settings()
  // Nothing but the directory makes mailboxes, whoever wrote the address and whatever stood there when the mail was accepted.
  if (!entries.accounts.has(keyOfText(entries, to.address)))
    return { kind: 'bounced', status: '5.1.1', reply: `there is no account ${to.address}`, cause: 'no-mailbox' }
  const user = foldLocal(to.address.slice(0, to.address.lastIndexOf('@')))
  const home = join(context.mailDirectory, safeName(domain), safeName(user))
  const box = boxOf(to, delimiter)
  const directory = box && (await exists(join(home, `.${box}`))) ? join(home, `.${box}`) : home
  // The same message for the same recipient has the same name: tried again after a crash, it replaces itself.
  const name = `${Math.floor(mail.envelope.receivedAt / 1000)}.${mail.envelope.id}_${r}.${safeName(hostname)}`
  const head = Buffer.from(`Return-Path: <${mail.envelope.sender}>\r\nDelivered-To: ${to.address}\r\n`)
  try {
    await putMail(directory, name, { head, body: openDelivered(mail, context.reader), to: to.address })
    context.mailTrouble(undefined)
    return {
      kind: 'delivered',
      status: '2.0.0',
      reply: `stored in ${domain}/${user}${directory === home ? '' : `/${box}`}`,
      dsnPassedOn: false,
    }
  } catch (error) {
    if (error instanceof Loop) return { kind: 'bounced', status: '5.4.6', reply: error.message, cause: 'loop' }
    const { code } = error as NodeJS.ErrnoException
    // What is wrong with the stored message itself is the caller's affair.
    if (!code) throw error
    const [status, why] = isFull(error) ? ['4.2.2', `the disk is full (${code})`] : ['4.3.0', code]
    // A quota is one mailbox's affair.
    if (code === 'ENOSPC') context.mailTrouble(error as Error)
    const reply = `${status} the mailbox of ${to.address} cannot be written: ${why}`
    return deferredOutcome(status, reply, waitingCauseOf({ cause: 'mailbox-unwritable', reply }))
  }
}

class Loop extends Error {
  override readonly name = 'Loop'
}

/** Bytes of the header in which an earlier Delivered-To is looked for. */
const maxHeader = 1 << 20

type Delivery = { head: Buffer; body: Readable; to: string }

/** Into `tmp`, then to `new`: whole and durable when it resolves. Rejects with Loop, and leaves nothing in `tmp`. */
async function putMail(directory: string, name: string, { head, body, to }: Delivery): Promise<void> {
  try {
    for (const part of ['tmp', 'new', 'cur']) await makeDirectory(join(directory, part))
    await replaceFile(join(directory, 'new', name), {
      temporary: join(directory, 'tmp', name),
      write: async (file) => {
        await writeAll(file, head)
        return head.length + (await writeBody(file, body, to))
      },
    })
  } finally {
    body.destroy()
  }
}

/** Answers its bytes. */
async function writeBody(file: FileHandle, body: Readable, to: string): Promise<number> {
  const header = new HeaderEnd(maxHeader)
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    if (!header.ended) {
      header.take(chunk)
      if (header.ended) stopLoop(header, to)
    }
    await writeAll(file, chunk)
    bytes += chunk.length
  }
  if (!header.ended) stopLoop(header, to)
  return bytes
}

/** Whether a header says that the message was delivered to this address before. */
export function wasDelivered({ header }: HeaderEnd, address: string): boolean {
  const ours = Buffer.from(address).toString('latin1').toLowerCase()
  return fieldsOf(header).some(({ name, text }) => name === 'delivered-to' && addressIn(text) === ours)
}

function stopLoop(header: HeaderEnd, address: string): void {
  if (wasDelivered(header, address)) throw new Loop(`the message was delivered to ${address} before: a loop`)
}

/** Some write the address in angle brackets. */
function addressIn(field: string): string {
  const value = field.slice(field.indexOf(':') + 1).trim()
  return value.replace(/^<(.*)>$/, '$1').toLowerCase()
}

/** The box behind the delimiter, when it can be the name of a Maildir++ folder. Only folders the user made are used. */
function boxOf({ address, original }: Recipient, delimiter: string): string | undefined {
  if (!delimiter || domainOf(original).toLowerCase() !== domainOf(address)) return undefined
  const local = original.slice(0, original.lastIndexOf('@'))
  const at = local.indexOf(delimiter)
  const box = at > 0 ? local.slice(at + 1) : ''
  return /^[a-z0-9_-]{1,64}$/i.test(box) ? box : undefined
}

/** A file name that is nothing but a name: other characters as `%xx`, no leading dot, at most 200 bytes. */
export function safeName(text: string): string {
  const name = text.replace(/[^a-z0-9._+=@-]|^\./g, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  )
  if (name.length <= 200) return name || randomBytes(8).toString('hex')
  return `${name.slice(0, 120)}%${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}
