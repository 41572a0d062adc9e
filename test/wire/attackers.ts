import { setTimeout as sleep } from 'node:timers/promises'
import type { ListEntryView, Page } from '@postern/contract/views.ts'
import { connect, type Reply, type WireClient } from '@postern/smtp/test/wire-client.ts'
import { freePort, temporaryDirectory, until } from '../peers/peer.ts'
import type { Postern } from '../system/postern.ts'
import { environmentOf, startByHand, type WorkerProcess } from '../system/worker-process.ts'

/** Clients that attack from their own addresses, and the results. */

const base64 = (text: string) => Buffer.from(text).toString('base64')

/** Fails to log in once, in a session of its own. Needs `advanced.allowPlainWithoutTls`. */
export async function failedLogin(port: number, from: string, login = 'ann'): Promise<Reply> {
  const client = await greeted(port, from)
  const reply = await client.ask(`AUTH PLAIN ${base64(`\0${login}\0not her password`)}`)
  client.destroy()
  return reply
}

export async function greeted(port: number, from: string): Promise<WireClient> {
  const client = await connect({ port, from })
  await client.hello()
  return client
}

/** Returns the first line that an address gets. */
export async function banner(port: number, from: string): Promise<Reply> {
  const client = await connect({ port, from })
  const reply = await client.reply()
  client.destroy()
  return reply
}

/** Milliseconds until a connection from this address is refused with 554 5.7.1. */
export async function untilRefused(port: number, from: string, withinMs = 30_000): Promise<number> {
  const since = performance.now()
  for (;;) {
    const { code, enhanced } = await banner(port, from)
    const passed = performance.now() - since
    if (code === 554 && enhanced === '5.7.1') return passed
    if (passed > withinMs) throw new Error(`${from} is still let in after ${Math.round(passed)} ms`)
    await sleep(5)
  }
}

/** The entry of an address in Control Access. */
export async function entryOf({ api }: Pick<Postern, 'api'>, address: string): Promise<ListEntryView | undefined> {
  const { items } = await api.get<Page<ListEntryView>>('/v1/lists/control-access', { q: address, limit: 100 })
  return items.find(({ value }) => value === address)
}

/**
 * Checks that there is no entry for an address once everything that these workers have seen is decided. Each worker
 * reports in order, so that is the case when a new attacker is blocked. Needs `security.autoDenyHackAttempts`.
 */
export async function staysOut(
  postern: Pick<Postern, 'api' | 'smtpPort'>,
  address: string,
  ports: readonly number[] = [postern.smtpPort],
): Promise<boolean> {
  for (const port of ports) {
    const from = `127.8.${witnesses >> 7}.${++witnesses & 127}`
    const client = await connect({ port, from })
    client.say('GET / HTTP/1.1', 'Host: x', '')
    await client.closed()
    await untilRefused(port, from)
  }
  return (await entryOf(postern, address)) === undefined
}

let witnesses = 0

export type SecondWorker = WorkerProcess & {
  smtpPort: number
}

/** Another SMTP worker on the same API, as on another host: a data directory and ports of its own. */
export async function startSecondWorker(postern: Postern): Promise<SecondWorker> {
  const like = environmentOf(postern.pids('smtp')[0] as number)
  const { token } = await postern.api.post<{ token: string }>('/v1/enrol-tokens', { service: 'smtp', name: 'smtp-2' })
  const smtpPort = await freePort('127.0.0.1')
  const worker = startByHand('smtp', {
    ...like,
    POSTERN_ENROL_TOKEN: token,
    POSTERN_WORKER_NAME: 'smtp-2',
    POSTERN_DATA_DIR: await temporaryDirectory('second'),
    POSTERN_SMTP_PORT: String(smtpPort),
    POSTERN_SUBMISSION_PORT: String(await freePort('127.0.0.1')),
    POSTERN_SMTPS_PORT: String(await freePort('127.0.0.1')),
  })
  const runs = async () =>
    (await postern.workers()).some(({ id, live, revision }) => id === 'smtp-2' && live && revision > 0)
  await until('the second SMTP worker runs', runs, { withinMs: 90_000 })
  await postern.settle()
  return { ...worker, smtpPort }
}
