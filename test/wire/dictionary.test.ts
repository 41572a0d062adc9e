import { describe, expect, it } from 'vitest'
import { until } from '../peers/peer.ts'
import { banner, entryOf, greeted, staysOut, untilRefused } from './attackers.ts'
import { homeDomain, livePostern } from './live.ts'

/** Guessed recipients and protocol errors: what a session may do, and what happens to its address. */

const live = livePostern({ prepare: homeDomain })
const port = () => live.postern.smtpPort
/** Seconds: a reply delayed this long arrives after the client gives up. So a reply that arrives was not delayed. */
const tooLong = 60

/** Sends `count` unknown recipients in one session, and expects the usual replies. */
async function guess(from: string, times: number) {
  const client = await greeted(port(), from)
  await client.say('MAIL FROM:<x@far.test>').expect(250)
  for (let i = 0; i < times; i++) await client.say(`RCPT TO:<guess${i}@home.test>`).expect(550, '5.1.1')
  return client
}

// [dictionary.softErrorLimit, dictionary.softErrorDelaySeconds, dictionary.hardErrorLimit]
describe('softErrorLimit and softErrorDelaySeconds', () => {
  it('past the limit each reply is delayed, and no other session is', async () => {
    await live.set('dictionary', { softErrorLimit: 2, softErrorDelaySeconds: tooLong })
    const waiting = await live.greeted({ from: '127.2.0.1' })
    for (const _ of [1, 2]) await waiting.say('NONSENSE').expect(500)
    let isAnswered = false
    const answered = () => {
      isAnswered = true
    }
    waiting.ask('NONSENSE').then(answered, () => {})
    const other = await live.greeted({ from: '127.2.0.2' })
    await other.say('NOOP').expect(250)
    expect(isAnswered).toBe(false)

    await live.set('dictionary', { softErrorDelaySeconds: 1 })
    const client = await live.greeted({ from: '127.2.0.8' })
    for (const _ of [1, 2]) await client.say('NONSENSE').expect(500)
    expect((await client.say('NONSENSE').expect(500)).afterMs).toBeGreaterThan(950)
    expect((await client.say('NOOP').expect(250)).afterMs).toBeGreaterThan(950)
    // A pipelining client gets the first reply before the last one is due, and not both at once.
    const first = await client.say('NOOP', 'NOOP').expect(250)
    const second = await client.expect(250)
    expect(second.afterMs).toBeGreaterThan(1_900)
    expect(second.afterMs - first.afterMs).toBeGreaterThan(100)
    await live.set('dictionary', { softErrorLimit: 0, softErrorDelaySeconds: tooLong })
    await client.say('NONSENSE').expect(500)
    await client.say('NOOP').expect(250)
  })

  it('a message is still accepted, late', async () => {
    await live.set('dictionary', { softErrorLimit: 1, softErrorDelaySeconds: 1 })
    const client = await live.greeted({ from: '127.2.0.3' })
    for (const _ of [1, 2]) await client.say('NONSENSE').expect(500)
    const reply = await client.mail({ from: 'x@far.test', to: 'ann@home.test', content: 'Subject: late\r\n' })
    expect(reply.afterMs).toBeGreaterThan(950)
  })

  it('also the reply that asks for a message, and the one that acknowledges a chunk', async () => {
    const transaction = async (from: string) => {
      const client = await live.greeted({ from })
      for (const _ of [1, 2]) await client.say('NONSENSE').expect(500)
      for (const line of ['MAIL FROM:<x@far.test>', 'RCPT TO:<ann@home.test>']) await client.say(line).expect(250)
      return client
    }
    const [whole, inPieces] = [await transaction('127.2.0.5'), await transaction('127.2.0.7')]
    await live.set('dictionary', { softErrorLimit: 1, softErrorDelaySeconds: 1 })
    expect((await whole.say('DATA').expect(354)).afterMs).toBeGreaterThan(950)
    await whole.write('Subject: late\r\n.\r\n').expect(250)
    expect((await inPieces.write('BDAT 9\r\nSubject: ').expect(250)).afterMs).toBeGreaterThan(950)
    expect((await inPieces.write('BDAT 7 LAST\r\npiece\r\n').expect(250)).afterMs).toBeGreaterThan(950)
  })

  it('an open session applies a change at its next reply, and counts earlier errors', async () => {
    const client = await live.greeted({ from: '127.2.0.6' })
    const isLate = async (softErrorLimit: number) => {
      await live.set('dictionary', { softErrorLimit, softErrorDelaySeconds: 1 })
      expect((await client.say('NOOP').expect(250)).afterMs).toBeGreaterThan(950)
    }
    const isPrompt = async (softErrorLimit: number) => {
      await live.set('dictionary', { softErrorLimit, softErrorDelaySeconds: tooLong })
      await client.say('NOOP').expect(250)
    }
    for (const _ of [1, 2, 3]) await client.say('NONSENSE').expect(500)
    await isLate(2)
    await isPrompt(3)
    await isLate(1)
    const entry = await live.add('white', '127.2.0.6')
    await isPrompt(1)
    await live.remove('white', entry)
    await isLate(1)
    await live.set('security', { watch: ['soft-error-limit'] })
    await isPrompt(1)
  })

  it('not for a White-listed client (W)', async () => {
    await live.set('dictionary', { softErrorLimit: 1, softErrorDelaySeconds: tooLong })
    await live.add('white', '127.2.0.4')
    const client = await live.greeted({ from: '127.2.0.4' })
    for (const _ of [1, 2, 3]) await client.say('NONSENSE').expect(500)
  })
})

describe('hardErrorLimit', () => {
  it('at the limit: 421 4.7.0 and the end of the session; an event names the rule', async () => {
    await live.set('dictionary', { hardErrorLimit: 3 })
    const from = '127.2.1.1'
    const client = await live.greeted({ from })
    await client.say('NONSENSE').expect(500)
    await client.say('RCPT TO:<ann@home.test>').expect(503)
    await client.say('MAIL FROM:<x@far.test>').expect(250)
    await client.say('RCPT TO:<nobody@home.test>').expect(550)
    await client.expect(421, '4.7.0')
    await client.closed()
    const event = await live.event(
      'command.refused',
      ({ client, verdict }) =>
        (client as { ip: string }).ip === from && (verdict as { stage: string }).stage === 'fault',
    )
    expect(event.verdict).toMatchObject({ rule: 'hard-error-limit', reason: 'too-many-errors' })
    expect(await staysOut(live.postern, from)).toBe(true)
    expect((await banner(port(), from)).code).toBe(220)
  })

  it('with blockMinutes the address is blocked', async () => {
    await live.set('dictionary', { hardErrorLimit: 2, blockMinutes: 7 })
    const from = '127.2.1.2'
    const client = await live.greeted({ from })
    await client.say('NONSENSE').expect(500)
    await client.say('NONSENSE').expect(500)
    await client.expect(421, '4.7.0')
    await untilRefused(port(), from)
    const entry = await entryOf(live.postern, from)
    expect(entry).toMatchObject({ createdBy: 'system:dictionary', reason: 'A session above an error limit' })
    expect(entry?.evidence?.[0]).toContain('The session has 2 errors; dictionary.hardErrorLimit is 2.')
    expect(Date.parse(entry?.expiresAt ?? '') - Date.now()).toBeLessThanOrEqual(7 * 60_000)
  })

  it('not for a White-listed client (W)', async () => {
    await live.set('dictionary', { hardErrorLimit: 2, blockMinutes: 7 })
    await live.add('white', '127.2.1.3')
    const client = await live.greeted({ from: '127.2.1.3' })
    for (let i = 0; i < 5; i++) await client.say('NONSENSE').expect(500)
    expect(await staysOut(live.postern, '127.2.1.3')).toBe(true)
  })

  it('only errors: exactly as many as the limit, and 0 is no limit if floods are not detected', async () => {
    await live.set('security', { autoDenyHackAttempts: false })
    await live.set('dictionary', { hardErrorLimit: 60 })
    const client = await live.greeted({ from: '127.2.1.4' })
    for (let i = 0; i < 60; i++) await client.say('NONSENSE').expect(500)
    await client.expect(421, '4.7.0')
    await live.set('dictionary', { hardErrorLimit: 0 })
    await live.set('security', { autoDenyHackAttempts: true })
    await live.add('white', '127.2.1.5')
    const white = await live.greeted({ from: '127.2.1.5' })
    for (let i = 0; i < 70; i++) await white.say('NONSENSE').expect(500)
    await white.say('NOOP').expect(250)
  })

  it('a value below the soft limit is refused, and the worker does not change', async () => {
    await live.set('dictionary', { softErrorLimit: 5 })
    const { status, text } = await live.api.call('PATCH', '/v1/settings/dictionary', { body: { hardErrorLimit: 4 } })
    expect(status).toBe(422)
    expect(text).toContain('hardErrorLimit')
  })
})

// [dictionary.maxInvalidRecipients, dictionary.windowMinutes, dictionary.blockMinutes]
describe('maxInvalidRecipients', () => {
  it('windowMinutes 0: within one session, which ends, and is blocked if blockMinutes is set', async () => {
    await live.set('dictionary', { maxInvalidRecipients: 3 })
    const first = await guess('127.2.2.1', 3)
    await first.expect(421, '4.7.0')
    expect(await staysOut(live.postern, '127.2.2.1')).toBe(true)
    await live.set('dictionary', { blockMinutes: 5 })
    for (const _ of [1, 2, 3]) (await guess('127.2.2.1', 2)).destroy()
    expect(await staysOut(live.postern, '127.2.2.1')).toBe(true)
    await (await guess('127.2.2.1', 3)).expect(421, '4.7.0')
    await untilRefused(port(), '127.2.2.1')
  })

  it('windowMinutes: over sessions', async () => {
    await live.set('dictionary', { maxInvalidRecipients: 4, windowMinutes: 10, blockMinutes: 5 })
    const from = '127.2.2.2'
    ;(await guess(from, 3)).destroy()
    expect(await staysOut(live.postern, from)).toBe(true)
    ;(await guess(from, 1)).destroy()
    await untilRefused(port(), from)
    const entry = await entryOf(live.postern, from)
    expect(entry?.reason).toBe('4 unknown recipients within 10 minutes; the limit is 4')
    expect(entry?.evidence?.join('\n')).toContain('unknown recipient <guess0@home.test>')
  })

  it('from thirty addresses at once; known recipients do not count', async () => {
    await live.set('dictionary', { maxInvalidRecipients: 2, windowMinutes: 10, blockMinutes: 5 })
    const attackers = Array.from({ length: 30 }, (_, i) => `127.2.3.${i + 1}`)
    await Promise.all(attackers.map((from) => guess(from, 2)))
    await until('all have an entry', async () => {
      const entries = await Promise.all(attackers.map((from) => entryOf(live.postern, from)))
      return entries.every((entry) => entry !== undefined)
    })
    const honest = await live.greeted({ from: '127.2.4.1' })
    for (let i = 0; i < 5; i++)
      await honest.mail({ from: 'x@far.test', to: ['ann@home.test', 'bob@home.test'], content: 'Subject: x\r\n' })
  })

  it('guesses with VRFY count', async () => {
    await live.set('security', { disableVrfy: false })
    await live.set('dictionary', { maxInvalidRecipients: 2 })
    const client = await live.greeted({ from: '127.2.6.1' })
    await client.say('VRFY ann@home.test').expect(250)
    for (const guess of ['one', 'two']) await client.say(`VRFY ${guess}@home.test`).expect(550, '5.1.1')
    await client.expect(421, '4.7.0')
  })

  it('not for a White-listed client (W), nor for the console', async () => {
    await live.set('dictionary', { maxInvalidRecipients: 2, windowMinutes: 10, blockMinutes: 5 })
    await live.add('white', '127.2.5.1')
    await guess('127.2.5.1', 6)
    const fromConsole = await guess('127.0.0.1', 2)
    await fromConsole.expect(421)
    for (const address of ['127.2.5.1', '127.0.0.1']) expect(await staysOut(live.postern, address)).toBe(true)
  })
})
