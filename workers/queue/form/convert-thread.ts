import { parentPort } from 'node:worker_threads'
import type { ConvertRequest, ConvertResponse } from './converter.ts'
import { SevenBit } from './seven-bit.ts'

/** The thread in which messages are read and encoded anew: byte by byte, which no event loop has time for. */

const open = new Map<number, SevenBit>()

parentPort?.on('message', (request: ConvertRequest) => {
  const { id } = request
  if (request.kind === 'begin') open.set(id, new SevenBit(request.changes, request.reading))
  else if (request.kind === 'drop') open.delete(id)
  else answer(request)
})

function answer(request: Extract<ConvertRequest, { kind: 'piece' | 'end' }>): void {
  const { id } = request
  const respond = (response: ConvertResponse) => parentPort?.postMessage(response)
  const message = open.get(id)
  try {
    if (!message) throw new Error('there is no such message')
    if (request.kind === 'piece') respond({ id, bytes: message.push(Buffer.from(request.bytes)) })
    else {
      open.delete(id)
      respond({ id, bytes: message.end(), survey: message.survey })
    }
  } catch (error) {
    open.delete(id)
    respond({ id, error: (error as Error).message })
  }
}
