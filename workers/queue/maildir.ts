import { createHash, randomBytes } from 'node:crypto'
import { access, mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { foldLocal } from '@postern/contract/address.ts'
import type { Recipient } from '@postern/contract/envelope.ts'
import { type Attempted, type AttemptWorld, deferredFor, type Final } from './attempted.ts'
import type { Job } from './lanes.ts'
import { domainOf } from './mail.ts'
import { openDelivered } from './overlay.ts'

/** Delivery into `mail/<domain>/<user>/`: written in `tmp`, synced, moved to `new`. Nothing in an address can leave that directory. */

export async function deliverToMaildir(
  job: Job,
  domain: string,
  world: AttemptWorld,
): Promise<Pick<Attempted, 'via' | 'results'>> {
  const results = new Map<number, Final>()
  for (const r of job.recipients) {
    const to = job.mail.envelope.recipients[r] as Recipient
    results.set(r, await deliverOne(job, { r, to, domain }, world))
  }
  return { via: { host: 'maildir' }, results }
}

async function deliverOne(
  { mail }: Job,
  { r, to, domain }: { r: number; to: Recipient; domain: string },
  world: AttemptWorld,
): Promise<Final> {
  const { delimiter, hostname } = world.plan()
  const user = foldLocal(to.address.slice(0, to.address.lastIndexOf('@')))
  const home = join(world.mailDirectory, safeName(domain), safeName(user))
  const box = boxOf(to, delimiter)
  const directory = box && (await exists(join(home, `.${box}`))) ? join(home, `.${box}`) : home
  // The same message for the same recipient has the same name: tried again after a crash, it replaces itself.
  const name = `${Math.floor(mail.envelope.receivedAt / 1000)}.${mail.envelope.id}_${r}.${safeName(hostname)}`
  const head = Buffer.from(`Return-Path: <${mail.envelope.sender}>\r\nDelivered-To: ${to.address}\r\n`)
  try {
    const draft = await writeDraft(directory, name, {
      head,
      body: openDelivered(mail, world.reader),
      delivered: to.address,
    })
    if (draft === 'loop') {
      return {
        kind: 'bounced',
        status: '5.4.6',
        reply: `the message was delivered to ${to.address} before: a loop`,
        cause: 'loop',
      }
    }
    await moveToNew(directory, name)
    return {
      kind: 'delivered',
      status: '2.0.0',
      reply: `kept in ${domain}/${user}${directory === home ? '' : `/${box}`}`,
      dsnPassedOn: false,
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // What is wrong with the stored message itself is the caller's affair.
    if (!code) throw error
    const status = code === 'ENOSPC' || code === 'EDQUOT' ? '4.2.2' : '4.3.0'
    return deferredFor(status, `the mailbox of ${to.address} cannot be written: ${code}`, 'mailbox-unwritable')
  }
}

/** Octets of the header in which an earlier Delivered-To is looked for. */
const headOctets = 65_536

async function writeDraft(
  directory: string,
  name: string,
  { head, body, delivered }: { head: Buffer; body: AsyncIterable<Buffer>; delivered: string },
): Promise<'written' | 'loop'> {
  for (const part of ['tmp', 'new', 'cur']) await mkdir(join(directory, part), { recursive: true, mode: 0o700 })
  const path = join(directory, 'tmp', name)
  const file = await open(path, 'w', 0o600)
  try {
    await file.write(head)
    let first = true
    for await (const chunk of body) {
      if (first && wasDelivered(chunk.subarray(0, headOctets), delivered)) return await abandon(path)
      first = false
      await file.write(chunk)
    }
    await file.sync()
    return 'written'
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await file.close()
  }
}

async function abandon(path: string): Promise<'loop'> {
  await rm(path, { force: true })
  return 'loop'
}

function wasDelivered(octets: Buffer, address: string): boolean {
  const text = octets.toString('latin1')
  const end = text.indexOf('\r\n\r\n')
  const header = `\r\n${end < 0 ? text : text.slice(0, end)}\r\n`.toLowerCase()
  return header.includes(`\r\ndelivered-to: ${Buffer.from(address).toString('latin1').toLowerCase()}\r\n`)
}

async function moveToNew(directory: string, name: string): Promise<void> {
  await rename(join(directory, 'tmp', name), join(directory, 'new', name))
  const folder = await open(join(directory, 'new'), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** The box behind the delimiter, when it can be the name of a Maildir++ folder. Only folders the user made are used. */
function boxOf({ address, original }: Recipient, delimiter: string): string | undefined {
  if (!delimiter || domainOf(original).toLowerCase() !== domainOf(address)) return undefined
  const local = original.slice(0, original.lastIndexOf('@'))
  const at = local.indexOf(delimiter)
  const box = at > 0 ? local.slice(at + 1) : ''
  return /^[a-z0-9_-]{1,64}$/i.test(box) ? box : undefined
}

/** A file name that is nothing but a name: other characters as `%xx`, no leading dot, at most 200 octets. */
export function safeName(text: string): string {
  const name = text.replace(/[^a-z0-9._+=@-]|^\./g, (character) =>
    [...Buffer.from(character)].map((octet) => `%${octet.toString(16).padStart(2, '0')}`).join(''),
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
