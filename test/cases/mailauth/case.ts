import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Findings } from '@postern/contract/mailauth.ts'
import { expect } from 'vitest'
import { type KeyName, keyOf, type Signature, withSignature } from './signer.ts'
import type { Zone } from './zone.ts'

/**
 * Our own cases for RFC 7208, 6376, 8463 and 9989, one per file. Each has the DNS records, the message, its client, the
 * expected results and the reason. `{rsa2048}` in a zone is the public key that the signature's `key` names.
 */

export type Case = {
  name: string
  /** The section of the RFC. */
  section: string
  why: string
  /** Why no client can reproduce it on a live worker. */
  notLive?: string
  zone: Zone
  client?: { ip?: string; helo?: string; sender?: string; relay?: boolean }
  /** Header lines instead of the default ones. */
  header?: string[]
  body?: string
  /** A generated body: number of lines and bytes per line. */
  long?: { lines: number; bytes: number }
  /** The first one is the lowest. `times`: how often it is added. */
  signatures?: (Signature & { times?: number })[]
  /** Changes to the message in transit. */
  changes?: { replace: string; with: string }[]
  /** Lines added at the top in transit. */
  added?: string[]
  expected: {
    spf?: string
    explanation?: string | null
    dkim?: string[]
    /** Text in the result of the first signature. */
    because?: string
    dmarc?: string | null
    policy?: string
    /** The maximum number of DNS queries. */
    questions?: number
  }
}

export const defaultHeader = ['From: Jane <jane@example.org>', 'To: bob@example.com', 'Subject: A message']

export function messageOf(given: Case): Buffer {
  const body = given.long
    ? `${'x'.repeat(given.long.bytes)}\r\n`.repeat(given.long.lines)
    : (given.body ?? 'Hello.\r\n')
  let message = `${(given.header ?? defaultHeader).join('\r\n')}\r\n\r\n${body}`
  for (const { times = 1, ...signature } of given.signatures ?? [])
    for (let i = 0; i < times; i++) message = withSignature(message, signature)
  for (const change of given.changes ?? []) {
    if (!message.includes(change.replace)) throw new Error(`there is no "${change.replace}" to replace`)
    message = message.replace(change.replace, () => change.with)
  }
  return Buffer.from([...(given.added ?? []), message].join('\r\n'), 'latin1')
}

export function zoneOf({ zone }: Pick<Case, 'zone'>): Zone {
  return JSON.parse(
    JSON.stringify(zone).replace(/\{(rsa\d+|ed25519|other)\}/g, (_, name) => keyOf(name as KeyName).record),
  )
}

export const folders = ['rfc6376', 'rfc7208', 'rfc8463', 'rfc9989'] as const
export type Folder = (typeof folders)[number]

/** Names of its files, in the order of their numbers. */
export const filesOf = (folder: string) => readdirSync(join(import.meta.dirname, folder)).sort()

export function caseOf(folder: string, file: string): Case {
  return JSON.parse(readFileSync(join(import.meta.dirname, folder, file), 'utf8')) as Case
}

export function clientOf({ client = {} }: Case) {
  const { ip = '192.0.2.1', helo = 'mx.example.org', sender = 'jane@example.org', relay } = client
  return { ip, helo, sender, relay }
}

/** Expects the results of the case, for each check that it names. */
export function expectFound({ expected, section, name, why }: Case, findings: Findings): void {
  const { spf, explanation, dkim, because, dmarc, policy } = expected
  const said = `§${section} ${name}: ${why}\n${JSON.stringify(findings)}`
  if (spf !== undefined) expect(findings.spf?.result, said).toBe(spf)
  if (explanation !== undefined) expect(findings.spf?.explanation ?? null, said).toBe(explanation)
  if (dkim)
    expect(
      findings.dkim?.map(({ result }) => result),
      said,
    ).toEqual(dkim)
  if (because) expect(findings.dkim?.[0]?.because, said).toContain(because)
  if (dmarc !== undefined) expect(findings.dmarc?.result ?? null, said).toBe(dmarc)
  if (policy !== undefined) expect(findings.dmarc?.policy, said).toBe(policy)
}
