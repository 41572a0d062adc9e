import { parentPort } from 'node:worker_threads'
import type { Asked, Said } from './converter.ts'
import { SevenBit } from './seven-bit.ts'

/** The thread in which messages are read and encoded anew: octet by octet, which no event loop has time for. */

const open = new Map<number, SevenBit>()

parentPort?.on('message', (asked: Asked) => {
  const { id } = asked
  if (asked.kind === 'begin') open.set(id, new SevenBit(asked.changes, asked.reading))
  else if (asked.kind === 'drop') open.delete(id)
  else answer(asked)
})

function answer(asked: Extract<Asked, { kind: 'piece' | 'end' }>): void {
  const { id } = asked
  const say = (said: Said) => parentPort?.postMessage(said)
  const message = open.get(id)
  try {
    if (!message) throw new Error('there is no such message')
    if (asked.kind === 'piece') say({ id, octets: message.push(Buffer.from(asked.octets)) })
    else {
      open.delete(id)
      say({ id, octets: message.end(), survey: message.survey })
    }
  } catch (error) {
    open.delete(id)
    say({ id, error: (error as Error).message })
  }
}
