import type { SessionRecord } from '@postern/contract/session-facts.ts'
import { expect, it } from 'vitest'
import { startTestReceiver } from '../test/receiver-harness.ts'
import { pastBanner } from '../test/wire-client.ts'

/** What the replay needs to say what another limit would have done. */

async function recordsOf(lines: string[], settings = {}): Promise<SessionRecord[]> {
  const records: string[] = []
  const receiver = await startTestReceiver({ settings }, { facts: { record: (line) => void records.push(line) } })
  const client = await pastBanner({ port: receiver.port() })
  for (const line of lines) await client.answer(line)
  client.destroy()
  await expect.poll(() => records.length).toBeGreaterThan(0)
  await receiver.close()
  return records.map((record) => JSON.parse(record) as SessionRecord)
}

it('errors of a session are recorded, with a limit and without', async () => {
  const lines = [
    'EHLO client.test',
    'NONSENSE',
    'RUBBISH',
    'MAIL FROM:<sam@remote.test>',
    'RCPT TO:<nobody@example.test>',
  ]
  const dictionary = { softErrorLimit: 0, hardErrorLimit: 0, maxInvalidRecipients: 0 }
  expect(await recordsOf(lines, { dictionary })).toMatchObject([{ errors: 3, invalidRecipients: 1 }])
  expect((await recordsOf(lines, { dictionary: { ...dictionary, hardErrorLimit: 2 } })).at(-1)).toMatchObject({
    errors: 2,
  })
})

it('a hack attempt is recorded, whether it is denied or not', async () => {
  for (const autoDenyHackAttempts of [true, false])
    expect(await recordsOf(['GET / HTTP/1.1'], { security: { autoDenyHackAttempts } })).toMatchObject([
      { attempt: 'other-protocol' },
    ])
})
