import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Findings, MailCheck } from '@postern/contract/authentication.ts'
import { describe, expect, it } from 'vitest'
import { examine } from '../../../workers/authentication/examine.ts'
import { forgetful } from '../../../workers/authentication/names.ts'
import { type KeyName, keyOf, type Signature, withSignature } from './signer.ts'
import { resolverOf, type Zone } from './zone.ts'

/**
 * Our own cases for RFC 7208, 6376, 8463 and 9989, one a file. Each says what the DNS knows, who sends what, what must come
 * out, and why. `{rsa2048}` in a zone is the public key that the signature's `key` names.
 */

type Case = {
  name: string
  /** Where the RFC says so. */
  section: string
  why: string
  zone: Zone
  client?: { ip?: string; helo?: string; sender?: string; relay?: boolean }
  /** Lines of the header; others than the default ones. */
  header?: string[]
  body?: string
  /** A body that is made: so many lines of so many octets. */
  long?: { lines: number; octets: number }
  /** The first is the lowest. `times`: as often. */
  signatures?: (Signature & { times?: number })[]
  /** What happens to the message on its way. */
  changes?: { replace: string; with: string }[]
  /** Lines that are put on top of it on its way. */
  added?: string[]
  expected: {
    spf?: string
    explanation?: string | null
    dkim?: string[]
    /** In what is said of the first signature. */
    because?: string
    dmarc?: string | null
    policy?: string
    /** The most questions that are asked. */
    questions?: number
  }
}

const house = import.meta.dirname
const defaultHeader = ['From: Jane <jane@example.org>', 'To: bob@example.com', 'Subject: A message']

function messageOf(given: Case): Buffer {
  const body = given.long
    ? `${'x'.repeat(given.long.octets)}\r\n`.repeat(given.long.lines)
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

function zoneOf({ zone }: Case): Zone {
  return JSON.parse(
    JSON.stringify(zone).replace(/\{(rsa\d+|ed25519|other)\}/g, (_, name) => keyOf(name as KeyName).record),
  )
}

async function found(given: Case): Promise<{ findings: Findings; questions: number }> {
  const { ip = '192.0.2.1', helo = 'mx.example.org', sender = 'jane@example.org', relay } = given.client ?? {}
  const { spf, dkim, dmarc } = given.expected
  const checks = (Object.entries({ spf, dkim, dmarc }) as [MailCheck, unknown][]).flatMap(([check, is]) =>
    is === undefined ? [] : [check],
  )
  let questions = 0
  const resolve = resolverOf(zoneOf(given), () => questions++)
  const { findings } = await examine(
    { sender, ip, helo, hostname: 'mx.receiver.example', checks, relay },
    [messageOf(given)],
    forgetful(resolve),
  )
  return { findings, questions }
}

const folders = { 'RFC 6376': 'rfc6376', 'RFC 7208': 'rfc7208', 'RFC 8463': 'rfc8463', 'RFC 9989': 'rfc9989' }

for (const [title, rfc] of Object.entries(folders)) {
  describe(title, () => {
    const files = readdirSync(join(house, rfc)).sort()
    it('the numbers are without gaps', () => {
      expect(files.map((file) => Number(file.slice(0, 3)))).toEqual(files.map((_, i) => i + 1))
    })
    it.each(files)('%s', async (file) => {
      const given = JSON.parse(readFileSync(join(house, rfc, file), 'utf8')) as Case
      const { findings, questions } = await found(given)
      const { spf, explanation, dkim, because, dmarc, policy } = given.expected
      const said = `§${given.section} ${given.name}: ${given.why}\n${JSON.stringify(findings)}`
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
      if (given.expected.questions !== undefined) expect(questions, said).toBeLessThanOrEqual(given.expected.questions)
    })
  })
}
