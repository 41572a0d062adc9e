import { Readable } from 'node:stream'
import { domainToASCII } from 'node:url'
import type { Recipient } from '@postern/contract/envelope.ts'
import { HeaderEnd } from '@postern/mailauth/header.ts'
import { findBlock } from '@postern/policy/address-blocks.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import type { SpoolReader } from '@postern/spool/spool.ts'
import type { Connection } from '../client/connection.ts'
import type { OutboundTransaction } from '../client/mail-transaction.ts'
import { deliveredBytes, openDelivered, readDelivered, streamWithEdits } from '../message/header-edits.ts'
import { domainOf, type QueuedMessage, requireTlsOf } from '../message/message.ts'
import type { Outcome } from '../message/outcome.ts'
import { release } from '../message/release.ts'
import type { DeliverySettings } from '../route/delivery-settings.ts'
import { authorDomain } from './author-domain.ts'
import type { Converter } from './converter.ts'
import { linesBroken, withLinesBroken } from './line-breaker.ts'
import { hasLongLines } from './long-lines.ts'
import { isSevenBit, splitMessage } from './seven-bit.ts'
import type { Signer, SigningKey } from './signer.ts'

/** The form in which a message goes to this very host: signed, and fit for what the host understands. Most mail needs nothing. */

/** Whole bodies up to here; larger ones are streamed. */
const wholeBytes = 1 << 20
const maxHeader = 256 << 10

export type FormContext = {
  settings(): DeliverySettings
  reader: SpoolReader
  converter: Converter
  signer: Signer
  record: RecordEvent
}

type For = { connection: Connection; recipients: readonly number[]; context: FormContext }

/** What goes out, and the recipients for whom it cannot be made fit. */
export type Form = {
  transaction: OutboundTransaction
  recipients: number[]
  unfit: Map<number, Outcome>
  /** It goes otherwise than it is stored. */
  isConverted: boolean
}

/** The message as it is, for a host to which it can go so. */
export function plainForm(mail: QueuedMessage, given: For): OutboundTransaction {
  const { connection, recipients, context } = given
  const { reader, settings } = context
  const { envelope } = mail
  const { recipientDelayMs } = settings()
  const bytes = deliveredBytes(mail)
  return {
    sender: envelope.sender,
    recipients: recipients.map((r) => envelope.recipients[r] as Recipient),
    bytes,
    body: bytes <= wholeBytes ? 'whole' : 'stream',
    whole: () => wholeWithShortLines(mail, given),
    stream: () => streamWithShortLines(openDelivered(mail, reader), connection),
    eightBit: envelope.body === '8bitmime',
    smtpUtf8: envelope.smtpUtf8,
    requireTls: requireTlsOf(envelope),
    pauseMs: recipientDelayMs > 0 && isExternal(mail, recipients, settings()) ? recipientDelayMs : 0,
    ...(envelope.ret ? { ret: envelope.ret } : {}),
    ...(envelope.envid ? { envid: envelope.envid } : {}),
  }
}

/** A job's recipients have the same next hop, so the first one is enough. */
function isExternal({ envelope }: QueuedMessage, [first]: readonly number[], { domains }: DeliverySettings): boolean {
  return first !== undefined && !domains.has(domainOf(envelope.recipients[first]?.address ?? ''))
}

/** Whether the message goes as it is. Costs nothing where nothing is to be done. */
export function isPlain(connection: Connection, mail: QueuedMessage, context: FormContext): boolean {
  if (!connection.has('8BITMIME') || (mail.envelope.smtpUtf8 && !connection.has('SMTPUTF8'))) return false
  // Of a message that is streamed it must be known before its header goes out.
  if (connection.options.protocol === 'smtp' && mail.hasLongLines !== false && deliveredBytes(mail) > wholeBytes)
    return false
  const settings = context.settings()
  return settings.signers.size === 0 || connection.options.protocol === 'lmtp' || !isOurs(mail, settings)
}

/** Of a message whose sender was let in as one of ours: it may carry our signature. */
function isOurs({ envelope }: QueuedMessage, settings: DeliverySettings): boolean {
  const { origin, client, receivedAt } = envelope
  if (origin !== 'smtp' || client.login !== undefined) return true
  return findBlock(settings.relays, client.ip, receivedAt) !== undefined
}

/** Rejects when the message cannot be read. */
export async function formFor(mail: QueuedMessage, given: For): Promise<Form> {
  const { connection, context } = given
  const needsSevenBit = !connection.has('8BITMIME')
  const needsAscii = mail.envelope.smtpUtf8 && !connection.has('SMTPUTF8')
  const form = await unsigned(mail, given, { needsSevenBit, needsAscii })
  const isSigned = form.recipients.length > 0 && connection.options.protocol === 'smtp'
  if (isSigned && context.settings().signers.size > 0 && isOurs(mail, context.settings()))
    form.transaction = await signed(mail, form, context)
  return form
}

type Needs = { needsSevenBit: boolean; needsAscii: boolean }

async function unsigned(mail: QueuedMessage, given: For, { needsSevenBit, needsAscii }: Needs): Promise<Form> {
  const { connection, recipients, context } = given
  const plain = plainForm(mail, given)
  const form: Form = { transaction: plain, recipients: [...recipients], unfit: new Map(), isConverted: false }
  const { host } = connection.options.peer
  if (needsAscii) {
    const { header, isWhole } = await headerOf(plain)
    if (!isWhole || !isSevenBit(header)) return refused(form, noUtf8(host))
    inAscii(form, mail, noUtf8(host))
  }
  if (form.recipients.length === 0) return form
  if (!needsSevenBit) return withShortLines(form, mail, given)
  const asStored = plain.body === 'whole' ? plain : { ...plain, stream: () => openDelivered(mail, context.reader) }
  const conversion = await context.converter.convert(() => piecesOf(asStored))
  if (conversion.kind === 'unfit') return refused(form, no8Bit(host, conversion.why))
  form.transaction = { ...form.transaction, eightBit: false }
  if (conversion.kind === 'converted')
    Object.assign(form, { transaction: { ...form.transaction, ...flowing(conversion) }, isConverted: true })
  return form
}

/*
 * No server need take a line over 998 bytes (RFC 5321 §4.5.3.1.6): Postfix breaks it, others refuse it. So text with such
 * lines goes out encoded, whatever the server offers, and what cannot be encoded has its lines broken. This breaks a signature of
 * another host over the body, as the next host that breaks the line would. LMTP, maildir, webhook and s3 get what is stored.
 */

/** In memory it is found out when it is sent: SIZE is an estimate (RFC 1870 §6.1). */
async function wholeWithShortLines(mail: QueuedMessage, { connection, context }: For): Promise<Buffer> {
  const message = await readDelivered(mail, context.reader)
  if (connection.options.protocol !== 'smtp') return message
  mail.hasLongLines ??= hasLongLines(message)
  if (!mail.hasLongLines) return message
  const conversion = await context.converter.convert(() => Readable.from([message]), { onlyLines: true })
  return withLinesBroken(conversion.kind === 'converted' ? await wholeOf(conversion.stream()) : message)
}

/** How long its lines are is not known before it has gone: what is too long is broken on the way. */
function streamWithShortLines(stream: Readable, { options }: Connection): Readable {
  return options.protocol === 'smtp' ? Readable.from(linesBroken(stream), { objectMode: false }) : stream
}

async function withShortLines(form: Form, mail: QueuedMessage, { connection, context }: For): Promise<Form> {
  const { transaction } = form
  const isLookedAt = transaction.body === 'whole' || mail.hasLongLines === false
  if (isLookedAt || connection.options.protocol !== 'smtp') return form
  const conversion = await context.converter.convert(() => openDelivered(mail, context.reader), { onlyLines: true })
  mail.hasLongLines = conversion.kind === 'converted'
  if (conversion.kind === 'converted')
    Object.assign(form, { transaction: { ...transaction, ...flowing(conversion) }, isConverted: true })
  return form
}

/** The message is read again rather than kept in memory. */
async function* piecesOf(transaction: OutboundTransaction): AsyncGenerator<Buffer> {
  if (transaction.body === 'whole') yield await transaction.whole()
  else yield* transaction.stream() as AsyncIterable<Buffer>
}

function flowing({ bytes, stream }: { bytes: number; stream: () => AsyncIterable<Buffer> }) {
  return {
    bytes,
    body: 'stream' as const,
    stream: () => Readable.from(linesBroken(stream()), { objectMode: false }),
    whole: () => wholeOf(linesBroken(stream())),
  }
}

async function wholeOf(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

/** RFC 6531 §3.2, RFC 5890: a domain has a spelling in ASCII, a local part has none. */
function inAscii(form: Form, { envelope }: QueuedMessage, unfit: Outcome): void {
  const sender = asciiAddress(envelope.sender)
  if (sender === undefined) {
    refused(form, unfit)
    return
  }
  const fit: { r: number; to: Recipient }[] = []
  for (const r of form.recipients) {
    const to = envelope.recipients[r] as Recipient
    const address = asciiAddress(to.address)
    if (address === undefined) form.unfit.set(r, unfit)
    else fit.push({ r, to: { ...to, address } })
  }
  form.recipients = fit.map(({ r }) => r)
  form.transaction = { ...form.transaction, sender, recipients: fit.map(({ to }) => to), smtpUtf8: false }
}

function asciiAddress(address: string): string | undefined {
  const at = address.lastIndexOf('@')
  if (address === '' || /^[\x20-\x7e]*$/.test(address)) return address
  const [local, domain] = [address.slice(0, at), domainToASCII(address.slice(at + 1))]
  return /^[\x20-\x7e]+$/.test(local) && domain !== '' ? `${local}@${domain}` : undefined
}

function refused(form: Form, unfit: Outcome): Form {
  for (const r of form.recipients) form.unfit.set(r, unfit)
  form.recipients = []
  return form
}

function bounced(status: string, reply: string, cause: string): Outcome {
  return { kind: 'bounced', status, reply, cause }
}

const noUtf8 = (host: string) =>
  bounced('5.6.7', `${host} does not offer SMTPUTF8, which this message needs`, 'no-smtputf8')
const no8Bit = (host: string, why: string) =>
  bounced('5.6.3', `${host} takes no 8-bit text, and this message cannot be converted: ${why}`, 'no-8bitmime')

/**
 * With our signatures on top. Of the message as it is stored they are made once; of a converted one for each host. Nothing is
 * signed for an author of a domain without a key. A signature that cannot be made does not stop the mail: it is logged.
 */
async function signed(
  mail: QueuedMessage,
  { transaction, isConverted }: { transaction: OutboundTransaction; isConverted: boolean },
  context: FormContext,
): Promise<OutboundTransaction> {
  const isStored = !isConverted && !(mail.envelope.smtpUtf8 && !transaction.smtpUtf8)
  const lines = (isStored ? mail.signature : undefined) ?? (await signature(mail, transaction, context))
  if (isStored) mail.signature = lines
  if (lines === '') return transaction
  const head = Buffer.from(lines, 'latin1')
  return {
    ...transaction,
    bytes: transaction.bytes + head.length,
    whole: async () => {
      const message = await transaction.whole()
      const signed = Buffer.concat([head, message])
      release(message)
      return signed
    },
    stream: () => streamWithEdits(transaction.stream(), { lines, cuts: [] }),
  }
}

async function signature(
  mail: QueuedMessage,
  transaction: OutboundTransaction,
  { settings, signer, record }: FormContext,
): Promise<string> {
  const { signers } = settings()
  const { keys, message } =
    transaction.body === 'whole' ? await keysOfWhole(transaction, signers) : await keysOfStream(transaction, signers)
  if (keys.length === 0) return ''
  try {
    return await signer.sign(message, { keys, at: mail.envelope.receivedAt })
  } catch (error) {
    record('message.unsigned', {
      messageId: mail.envelope.id,
      domain: (keys[0] as SigningKey).domain,
      detail: (error as Error).message,
    })
    return ''
  }
}

type Keys = { keys: readonly SigningKey[]; message: Iterable<Buffer> | AsyncIterable<Buffer> }

function keysOf(header: Buffer, signers: DeliverySettings['signers']): readonly SigningKey[] {
  return signers.get(authorDomain(header) ?? '') ?? []
}

async function keysOfWhole({ whole }: OutboundTransaction, signers: DeliverySettings['signers']): Promise<Keys> {
  const message = await whole()
  return { keys: keysOf(splitMessage(message).header, signers), message: [message] }
}

async function keysOfStream(transaction: OutboundTransaction, signers: DeliverySettings['signers']): Promise<Keys> {
  const { header, isWhole } = await headerOf(transaction)
  const keys = isWhole ? keysOf(header, signers) : []
  return { keys, message: keys.length > 0 ? transaction.stream() : [] }
}

async function headerOf(transaction: OutboundTransaction): Promise<HeaderEnd> {
  const end = new HeaderEnd(maxHeader)
  // Leaving the loop closes the message.
  for await (const piece of piecesOf(transaction)) {
    end.take(piece)
    if (end.ended || end.bytes > maxHeader) break
  }
  return end
}
