import { routeTerms, settledTerms, type TlsTerms, termsFor } from '../assure/assurance.ts'
import type { ConnectOptions, TlsPolicy } from '../client/connect-options.ts'
import type { Connection } from '../client/connection.ts'
import { ConnectionFailure } from '../client/connection-failure.ts'
import { DialogueLog } from '../client/dialogue-log.ts'
import type { Peer } from '../client/peer.ts'
import { openDelivered } from '../message/header-edits.ts'
import type { DeliveryJob } from '../message/message.ts'
import { type QueuedMessage, requireTlsOf } from '../message/message.ts'
import { greetsAsUs, type Remote } from '../route/hosts.ts'
import type { AttemptContext } from './attempt-context.ts'

/** Opens a connection for a message: on the terms of the destination, of the recipient's domain, and of the message itself. */

type Where = { destination: Remote; peer: Peer; signal: AbortSignal }

/** `under`: the key under which the connection may be given back. Rejects with ConnectionFailure. */
export async function openFor(
  { mail }: DeliveryJob,
  where: Where,
  context: AttemptContext,
): Promise<{ connection: Connection; under: string }> {
  const under = poolKey(where.destination, mail)
  const terms = await termsOf(mail, where, context)
  try {
    if (terms.kind === 'refused') throw new ConnectionFailure(terms.forNow ? 'terms' : 'proof', terms.text)
    return { connection: await context.pool.open(connectOptions(where, terms, context)), under }
  } catch (error) {
    if (!isAboutTls(error) || !terms.byRecipient || where.destination.tls === 'require') throw error
    if (mail.envelope.requireTls || !(await waivesTls(mail, context))) throw error
    const connection = await context.pool.open(connectOptions(where, settledTerms(where.destination.tls), context))
    return { connection, under: `${under} waived` }
  }
}

function isAboutTls(error: unknown): boolean {
  return error instanceof ConnectionFailure && ['terms', 'tls', 'proof'].includes(error.stage)
}

/** Connections are shared by what has the same next host and terms. */
export function poolKey(destination: Remote, { envelope }: QueuedMessage): string {
  const key = hostKey(destination)
  const asked = requireTlsOf(envelope)
  return asked === 'no' ? key : `${key} requiretls ${asked}`
}

function hostKey(destination: Remote): string {
  switch (destination.kind) {
    case 'mx':
      return `mx ${destination.domain} ${destination.tls}`
    case 'address':
      return `address ${destination.address} ${destination.tls}`
    case 'lmtp':
      return `lmtp ${destination.host} ${destination.port}`
    case 'smtp':
      return `smtp ${destination.host} ${destination.port} ${destination.tls} ${destination.auth?.user ?? ''}`
  }
}

async function termsOf(
  { envelope }: QueuedMessage,
  { destination, peer }: Where,
  context: AttemptContext,
): Promise<TlsTerms> {
  const asked = destination.kind === 'lmtp' ? 'no' : requireTlsOf(envelope)
  const tls = asked !== 'no' && destination.tls === 'none' ? 'opportunistic' : destination.tls
  const terms = await ordinaryTerms(destination, { ...peer, tls }, context)
  if (asked === 'no' || terms.kind === 'refused') return terms
  // It goes in any case; only what was verified is asked to pass REQUIRETLS on.
  if (asked === 'preferred') return { ...terms, proof: terms.proof ?? byRequireTls }
  if (terms.authentic) return required(terms)
  const to = destination.kind === 'mx' ? destination.domain : peer.host
  const text = `REQUIRETLS: neither DNSSEC nor MTA-STS says that ${peer.host} takes mail for ${to}`
  return { kind: 'refused', text, byRecipient: false }
}

const byRequireTls = { kind: 'name', by: 'REQUIRETLS' } as const

function ordinaryTerms(
  destination: Remote,
  { host, port, tls }: Pick<Peer, 'host' | 'port'> & { tls: TlsPolicy },
  { assurance }: AttemptContext,
): Promise<TlsTerms> | TlsTerms {
  switch (destination.kind) {
    case 'mx':
      return termsFor({ domain: destination.domain, host, port, tls }, assurance)
    case 'smtp':
      return routeTerms({ host, port, tls }, assurance)
    case 'address':
    case 'lmtp':
      return settledTerms(tls)
  }
}

/** RFC 8689 §4.2.1: verified TLS or nothing, whatever the settings say. */
function required(terms: TlsTerms & { kind: 'terms' }): TlsTerms {
  const { testing: _, ...rest } = terms
  const tls = terms.tls === 'implicit' ? 'implicit' : 'require'
  return { ...rest, tls, proof: terms.proof ?? byRequireTls, byRecipient: false }
}

function connectOptions(
  { destination, peer, signal }: Where,
  terms: TlsTerms & { kind: 'terms' },
  context: AttemptContext,
): ConnectOptions {
  const { tls, proof, testing } = terms
  const onUnverified = (problem: string) =>
    context.record('tls.unproved', {
      domain: destination.kind === 'mx' ? destination.domain : peer.host,
      host: peer.host,
      detail: `${testing}: ${problem}`,
    })
  return {
    peer,
    signal,
    protocol: destination.kind === 'lmtp' ? 'lmtp' : 'smtp',
    name: context.settings().hostname,
    isUs: (name) => greetsAsUs(name, { destination, peer }, context.ownAddresses()),
    tls,
    timeouts: context.timeouts,
    dialogueLog: new DialogueLog(peer, context),
    ...(proof ? { verification: { wants: proof, trust: context.assurance.trust } } : {}),
    ...(testing ? { onUnverified } : {}),
    ...(destination.kind === 'smtp' && destination.auth ? { auth: destination.auth } : {}),
  }
}

const maxHeader = 64 << 10

/** Whether the sender wants the mail delivered rather than protected: `TLS-Required: No` (RFC 8689 §3 and §4.2.2). Read only when it matters. */
async function waivesTls(mail: QueuedMessage, { reader }: AttemptContext): Promise<boolean> {
  let text = ''
  const stream = openDelivered(mail, reader)
  try {
    for await (const chunk of stream) {
      text += (chunk as Buffer).toString('latin1')
      if (text.includes('\r\n\r\n') || text.length > maxHeader) break
    }
  } finally {
    stream.destroy()
  }
  const end = text.indexOf('\r\n\r\n')
  return /^tls-required:[ \t]*no[ \t]*(\r\n|$)/im.test(text.slice(0, end < 0 ? maxHeader : end + 2))
}
