import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { until } from '../peers/peer.ts'
import { type Postern, startPostern } from '../system/postern.ts'
import { connect } from './client.ts'
import { startWireSink, type TakenMessage, type WireSink } from './sink.ts'

/**
 * SMTP smuggling: a second mail hidden behind something that one server takes for the end of data and another does not.
 * Only CRLF.CRLF ends a message (RFC 5321 §4.1.1.4); whatever else is tried ends with one message or none, never two.
 */

const variants = {
  'LF.LF': '\n.\n',
  'LF.CRLF': '\n.\r\n',
  'CRLF.LF': '\r\n.\n',
  'CR.CRLF': '\r.\r\n',
  'CRLF.CR': '\r\n.\r',
  'CR.CR': '\r.\r',
  'LF.CR': '\n.\r',
  'CRLF NUL.CRLF': '\r\n\0.\r\n',
  'CRLF.NUL CRLF': '\r\n.\0\r\n',
  'CRLF.CRCRLF': '\r\n.\r\r\n',
}
const before = 'From: <a@b.test>\r\nSubject: one\r\n\r\nfirst'
const after =
  'MAIL FROM:<evil@b.test>\r\nRCPT TO:<victim@far.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nsmuggled\r\n.\r\nQUIT\r\n'

let postern: Postern
let sink: WireSink
const taken: TakenMessage[] = []
let attempts = 0

beforeAll(async () => {
  sink = await startWireSink({ take: (message) => taken.push(message) })
  postern = await startPostern()
  const gateway = { host: sink.host, port: sink.port, tls: 'none' }
  const { revision } = await postern.api.patch('/v1/settings/general', { gateway })
  await postern.settle(revision)
})
afterAll(async () => {
  await postern?.stop()
  await sink?.stop()
})
showLogsOnFailure(() => [postern])

/** Sends the attack in packets that end at these offsets into the variant; returns all the server said to it. */
async function attack(variant: string, splits: number[]): Promise<{ codes: number[]; recipient: string }> {
  const recipient = `u${++attempts}@far.test`
  const client = await connect({ port: postern.smtpPort })
  await client.hello()
  await client.say('MAIL FROM:<a@b.test>').expect(250)
  await client.say(`RCPT TO:<${recipient}>`).expect(250)
  await client.say('DATA').expect(354)
  const packets = splits.map((offset) => before.length + offset)
  await client.writeSplit(before + variant + after, packets, 2)
  await client.closed()
  const codes: number[] = []
  while (client.pending > 0) codes.push((await client.reply()).code)
  return { codes, recipient }
}

/** All that reached the sink before a mail that was sent now. */
async function arrivedUntilNow(): Promise<TakenMessage[]> {
  const recipient = `marker${++attempts}@far.test`
  const client = await connect({ port: postern.smtpPort })
  await client.hello()
  await client.mail({ from: 'a@b.test', to: recipient, content: 'Subject: marker\r\n\r\nmarker\r\n' })
  await client.quit()
  await until('the marker arrives', () => taken.some((message) => message.recipients.includes(recipient)))
  return taken.splice(0).filter((message) => !message.recipients.includes(recipient))
}

const splitsOf = (variant: string) => [[], ...Array.from({ length: variant.length + 1 }, (_, offset) => [offset])]

describe.each(Object.entries(variants))('%s', (_name, variant) => {
  it('is refused under bareLineFeeds: reject, and nothing after it is executed', async () => {
    for (const splits of splitsOf(variant)) {
      const { codes } = await attack(variant, splits)
      expect(codes, `split at ${splits}`).toEqual([554])
    }
    expect(await arrivedUntilNow()).toEqual([])
  })
})

describe('under bareLineFeeds: normalize', () => {
  beforeAll(async () => {
    const { revision } = await postern.api.patch('/v1/settings/advanced', { bareLineFeeds: 'normalize' })
    await postern.settle(revision)
  })

  it.each(Object.entries(variants))(
    '%s is one message or none, and none is what the first did not say',
    async (_name, variant) => {
      for (const splits of splitsOf(variant)) {
        const { codes, recipient } = await attack(variant, splits)
        // Taken whole, the second mail being part of its text, or refused (NUL is never passed on).
        expect([[250, 221], [554]], `split at ${splits}`).toContainEqual(codes)
        const arrived = await arrivedUntilNow()
        expect(arrived).toHaveLength(codes[0] === 250 ? 1 : 0)
        for (const { recipients, sender, content } of arrived) {
          expect({ recipients, sender }).toEqual({ recipients: [recipient], sender: 'a@b.test' })
          expect(content).toContain('MAIL FROM:<evil@b.test>\r\n')
          expect(content.replaceAll('\r\n', '')).not.toMatch(/[\r\n\0]/)
        }
      }
    },
  )
})
