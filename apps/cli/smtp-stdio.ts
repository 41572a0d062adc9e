import { connect } from 'node:net'
import type { ServiceView } from '@postern/contract/views.ts'
import type { Client } from './client.ts'
import { sysexits } from './sysexits.ts'

/**
 * Speaks SMTP on standard input and output (-bs) by relaying to the SMTP service. Its rules apply as they do to any
 * client on this host. `POSTERN_SMTP` (host:port) names the service; without it, the API is asked.
 */
export async function smtpOnStdio(client: () => Client): Promise<number> {
  let place: { host: string; port: number }
  try {
    place = process.env.POSTERN_SMTP ? placeIn(process.env.POSTERN_SMTP) : await placeFrom(client())
  } catch (error) {
    return away((error as Error).message)
  }
  const socket = connect({ ...place, keepAlive: true, keepAliveInitialDelay: 45_000 })
  return new Promise((resolve) => {
    let isOpen = false
    socket.once('connect', () => {
      isOpen = true
      process.stdin.pipe(socket)
      socket.pipe(process.stdout, { end: false })
    })
    socket.once('error', (error) => resolve(isOpen ? sysexits.tryAgain : away(error.message)))
    socket.once('close', (failed) => {
      process.stdin.destroy()
      if (!failed) resolve(0)
    })
  })
}

/** Reports the failure to the SMTP client with a 421 reply. */
function away(why: string): number {
  process.stdout.write('421 4.3.0 The SMTP service cannot be reached\r\n')
  console.error(`postern: ${why}`)
  return sysexits.tryAgain
}

function placeIn(text: string): { host: string; port: number } {
  const [, inBrackets, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  if (port === undefined) throw new Error(`POSTERN_SMTP is "${text}" but must be host:port`)
  return { host: (inBrackets ?? plain) as string, port: Number(port) }
}

async function placeFrom(client: Client): Promise<{ host: string; port: number }> {
  const { workers } = await client.get<ServiceView>('/v1/services/smtp')
  const listener = workers
    .filter(({ live }) => live)
    .flatMap(({ listeners }) => listeners)
    .find(({ name }) => name === 'smtp')
  if (!listener) throw new Error('no SMTP worker is listening. Is the service smtp running?')
  const { address, port } = listener
  return { host: /^(0\.0\.0\.0|::)$/.test(address) ? client.host : address, port }
}
