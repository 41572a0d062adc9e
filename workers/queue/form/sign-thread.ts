import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parentPort } from 'node:worker_threads'
import { OversigningSigner } from './oversigning-signer.ts'
import type { SignRequest, SignThreadRequest, SignThreadResponse } from './signer.ts'

/** The thread in which messages are signed: hashing and private keys stay off the event loop that carries mail. */

type Open = { input: PassThrough; lines: Promise<string> }

const open = new Map<number, Open>()

const respond = (response: SignThreadResponse) => parentPort?.postMessage(response)

parentPort?.on('message', (request: SignThreadRequest) => {
  const { id } = request
  if (request.kind === 'begin') {
    begin(request)
    return
  }
  const message = open.get(id)
  if (!message) {
    if (request.kind !== 'drop') respond({ id, error: 'there is no such message' })
    return
  }
  if (request.kind === 'piece') {
    // The next piece is asked for when this one is used up, so a large message takes no memory.
    if (message.input.write(request.bytes)) respond({ id })
    else message.input.once('drain', () => respond({ id }))
    return
  }
  open.delete(id)
  if (request.kind === 'drop') message.input.destroy()
  else {
    message.input.end()
    message.lines.then(
      (lines) => respond({ id, lines }),
      (error: Error) => respond({ id, error: error.message }),
    )
  }
})

function begin({ id, keys, at }: { id: number } & SignRequest): void {
  const input = new PassThrough()
  const lines = sign(input, { keys, at })
  lines.catch(() => {})
  open.set(id, { input, lines })
}

async function sign(input: PassThrough, { keys, at }: SignRequest): Promise<string> {
  const signer = new OversigningSigner({
    canonicalization: 'relaxed/relaxed',
    signTime: new Date(at),
    strict: true,
    signatureData: keys.map(({ domain, selector, headers, privateKey }) => ({
      signingDomain: domain,
      selector,
      privateKey,
      headerList: headers,
    })),
  })
  await pipeline(input, signer)
  const [first] = signer.errors
  if (first) throw new Error(`${first.signingDomain} ${first.selector}: ${first.err.message}`)
  return signer.signatureHeaders.map((field) => `${field}\r\n`).join('')
}
