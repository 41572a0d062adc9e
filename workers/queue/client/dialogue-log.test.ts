import type { EventType } from '@postern/contract/events.ts'
import { eventTypes } from '@postern/contract/events.ts'
import { describe, expect, test } from 'vitest'
import { TestServer } from '../test/server.ts'
import { defaultTimeouts } from './connect-options.ts'
import { Connection } from './connection.ts'
import { DialogueLog, withoutSecret } from './dialogue-log.ts'

function listening(isOpen: () => boolean) {
  const told: string[] = []
  const record = (type: EventType, fields: object) => {
    const { from, text } = eventTypes['outbound.dialogue'].fields.parse(fields)
    told.push(`${type === 'outbound.dialogue' ? '' : type}${from === 'client' ? '>' : '<'} ${text}`)
  }
  const peer = { host: 'mx.test', address: '127.0.0.1', port: 25 }
  return { told, dialogueLog: new DialogueLog(peer, { record, wants: isOpen }) }
}

describe('the dialogue with the next host', () => {
  test('is told line by line, from the moment the log wants it', async () => {
    const server = await TestServer.start()
    let isOpen = false
    const { told, dialogueLog } = listening(() => isOpen)
    const peer = { host: 'mx.test', address: '127.0.0.1', port: server.port }
    const connection = await Connection.open({
      peer,
      protocol: 'smtp',
      name: 'us.test',
      tls: 'none',
      timeouts: defaultTimeouts,
      dialogueLog,
    })
    expect(told).toEqual([])
    isOpen = true
    await connection.command('MAIL FROM:<a@b.test>', 1000)
    connection.quit()
    expect(told).toEqual(['> MAIL FROM:<a@b.test>', '< 250 2.1.0 ok', '> QUIT'])
    await server.close()
  })

  test('has no secret: neither in AUTH nor in an answer nor in a challenge', () => {
    const { told, dialogueLog } = listening(() => true)
    dialogueLog.sent(['AUTH PLAIN AGEAcGFzcw=='])
    dialogueLog.sent(['cGFzcw=='], true)
    dialogueLog.received({ code: 334, lines: ['cGFzcw=='] })
    dialogueLog.received(withoutSecret({ code: 535, lines: ['5.7.8 pass', 'cGFzcw== is wrong'] }, ['cGFzcw==', 'pass']))
    dialogueLog.sentMessage(12)
    expect(told).toEqual([
      '> AUTH PLAIN ***',
      '> ***',
      '< 334 ***',
      '< 535-5.7.8 ***',
      '< 535 *** is wrong',
      '> (a message of 12 bytes)',
    ])
  })
})
