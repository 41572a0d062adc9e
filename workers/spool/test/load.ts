import { appendFileSync } from 'node:fs'
import { openLocalWriter } from '../local/writer.ts'
import { envelope, repeated } from './messages.ts'

/**
 * A process for the tests: opens a writer and stores messages as fast as it can, until it is killed. Prints the id and
 * size of each one when it is durable, never before.
 */

const [directory = '', name = '', clients = '20'] = process.argv.slice(2)

const writer = await openLocalWriter({ directory, name, segmentBytes: 1 << 20, reserve: 0 })
appendFileSync(1, 'open\n')

async function client(): Promise<void> {
  while (true) {
    const message = envelope()
    const large = Math.random() < 0.01
    const body = repeated(message.id, large ? 1_300_000 : Math.floor(Math.random() * 20_000))
    if (!large) await writer.write({ envelope: message, body })
    else {
      const messageWriter = writer.begin()
      for (let at = 0; at < body.length; at += 65_536) await messageWriter.append(body.subarray(at, at + 65_536))
      await messageWriter.commit(message)
    }
    appendFileSync(1, `${message.id} ${body.length}\n`)
  }
}

await Promise.all(Array.from({ length: Number(clients) }, client))
