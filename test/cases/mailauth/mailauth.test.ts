import type { Findings, MailCheck } from '@postern/contract/mailauth.ts'
import { uncached } from '@postern/mailauth/resolver.ts'
import { verify } from '@postern/mailauth/verify.ts'
import { describe, expect, it } from 'vitest'
import { type Case, caseOf, clientOf, expectFound, type Folder, filesOf, messageOf, zoneOf } from './case.ts'
import { resolverOf } from './zone.ts'

/** Verifies each message in process, with DNS records from the case. */

async function found(given: Case): Promise<{ findings: Findings; questions: number }> {
  const { ip, helo, sender, relay } = clientOf(given)
  const { spf, dkim, dmarc } = given.expected
  const checks = (Object.entries({ spf, dkim, dmarc }) as [MailCheck, unknown][]).flatMap(([check, is]) =>
    is === undefined ? [] : [check],
  )
  let questions = 0
  const resolve = resolverOf(zoneOf(given), () => questions++)
  const { findings } = await verify(
    { sender, ip, helo, hostname: 'mx.receiver.example', checks, relay },
    [messageOf(given)],
    uncached(resolve),
  )
  return { findings, questions }
}

/** Returns the files of a folder by number. */
function throughTheFirstDoor(folder: Folder): void {
  const files = filesOf(folder)
  it('the numbers have no gaps', () => {
    expect(files.map((file) => Number(file.slice(0, 3)))).toEqual(files.map((_, i) => i + 1))
  })
  it.each(files)('%s', async (file) => {
    const given = caseOf(folder, file)
    const { findings, questions } = await found(given)
    expectFound(given, findings)
    if (given.expected.questions !== undefined)
      expect(questions, given.name).toBeLessThanOrEqual(given.expected.questions)
  })
}

describe('RFC 6376', () => throughTheFirstDoor('rfc6376'))
describe('RFC 7208', () => throughTheFirstDoor('rfc7208'))
describe('RFC 8463', () => throughTheFirstDoor('rfc8463'))
describe('RFC 9989', () => throughTheFirstDoor('rfc9989'))
