import { createTransport } from 'nodemailer'
import { expect, onTestFailed, onTestFinished, test } from 'vitest'
import { answers, until } from '../peers/peer.ts'
import { bundleForTests, type Cloud, type CloudOptions, startCloud } from './cloud.ts'

/** The API as the functions that are deployed, behind a gateway with their limits, with real workers. */

const bundle = bundleForTests()

async function cloud(options?: CloudOptions): Promise<Cloud> {
  const started = await startCloud(bundle.directory, options)
  onTestFailed(() => console.error(started.gateway.broken, started.gateway.logs().slice(-5_000)))
  onTestFinished(() => started.stop())
  return started
}

const revisionOf = async ({ api }: Cloud) =>
  (await api.get<{ items: { revision: number }[] }>('/v1/revisions?limit=1')).items[0]?.revision

type Worker = { live: boolean; revision: number }
const workersOf = async ({ api }: Cloud) => (await api.get<{ items: Worker[] }>('/v1/workers')).items

test('mail is accepted and delivered, a change is applied, and the log tells of both', async () => {
  const it = await cloud()
  const { api, gateway } = it
  await api.post('/v1/domains', { name: 'example.org', route: { type: 'maildir' } })
  await api.post('/v1/accounts', { address: 'jane@example.org', secret: 'long enough for all' })
  for (const service of ['smtp', 'queue'] as const) await it.startWorker(service)
  await until('the SMTP port is open', () => answers(it.host, it.smtpPort))
  const mail = createTransport({ host: it.host, port: it.smtpPort, tls: { rejectUnauthorized: false } })
  await mail.sendMail({ from: 'ann@remote.example', to: 'jane@example.org', subject: 'By functions', text: 'x' })
  await until('the message is in the maildir', async () => (await it.mail('jane@example.org')).length === 1)
  await until('the message is in the log', async () => {
    const { items } = await api.get<{ items: { outcome: string }[] }>('/v1/messages')
    return items[0]?.outcome === 'delivered'
  })

  const submission = {
    sender: 'ann@remote.example',
    recipients: ['jane@example.org'],
    message: 'Subject: x\r\n\r\nx\r\n',
  }
  const { id } = await api.post<{ id: string }>('/v1/messages', submission)
  await until('the submitted message is in the maildir', async () => (await it.mail('jane@example.org')).length === 2)
  expect((await api.get<{ state: string }>(`/v1/messages/${id}`)).state).not.toBe('refused')

  await api.patch('/v1/settings/general', { maxMessageBytes: 1_000_000 })
  await until('the change is in force', async () => {
    const [workers, newest] = [await workersOf(it), await revisionOf(it)]
    return workers.length === 2 && workers.every(({ live, revision }) => live && revision === newest)
  })
  expect(gateway.broken).toEqual([])

  // The live tail holds no instance: it is answered at once, and the next answer goes on after it.
  const follow = async (last?: string) => {
    const headers = { authorization: `Bearer ${await api.token()}`, ...(last ? { 'last-event-id': last } : {}) }
    const text = await (await fetch(`${api.url}/v1/events/stream`, { headers })).text()
    const events = [...text.matchAll(/^event: (.*)$/gm)].map(([, type]) => type)
    return { text, events, last: [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] }
  }
  let part = await follow()
  expect(part.text).toMatch(/^retry: 2000\n\nid: \S+\n\n$/)
  for (let bytes = 1_000_001; !part.events.includes('policy.applied'); bytes += 1) {
    await api.patch('/v1/settings/general', { maxMessageBytes: bytes })
    part = await follow(part.last)
  }
  expect(gateway.broken).toEqual([])
})

test('many cold starts at once on an empty database are all answered', async () => {
  const { api, gateway } = await cloud({ databaseMs: 10 })
  const asked = Array.from({ length: 4 }, () => fetch(`${api.url}/.well-known/jwks.json`))
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(Array(4).fill(200))
  expect(gateway.coldStarts).toBe(4)
  expect(gateway.broken).toEqual([])
  expect((await api.get<{ items: unknown[] }>('/v1/users')).items).toHaveLength(1)
  const { items } = await api.get<{ items: { revision: number }[] }>('/v1/revisions')
  expect(items.map(({ revision }) => revision)).toEqual([1])
})
