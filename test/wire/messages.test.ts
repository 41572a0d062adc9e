import type { MessageView } from '@postern/contract/views.ts'
import { describe, expect, it } from 'vitest'
import { until } from '../peers/peer.ts'
import { homeDomain, livePostern } from './live.ts'

/** Messages handed in and looked at through the API, whose spool is a worker's. */

const live = livePostern({ prepare: homeDomain })

type Submitted = { id: string; state: string }
let serial = 0
const text = () => `From: ops@home.test\nSubject: number ${++serial}\n\nhello\n.dot\n`
const submit = (body: object, headers: Record<string, string> = {}) =>
  live.api.call('POST', '/v1/messages', { body, headers })
const content = (id: string, token?: string) =>
  live.api.call('GET', `/v1/messages/${id}/content`, token ? { token } : {})

async function known(id: string, fits: (view: MessageView) => boolean): Promise<MessageView> {
  let view: MessageView | undefined
  await until(`${id} is known`, async () => {
    const answer = await live.api.call('GET', `/v1/messages/${id}`)
    view = answer.status === 200 ? (answer.body as MessageView) : undefined
    return view !== undefined && fits(view)
  }).catch((error) => {
    throw new Error(`${error.message}; it is ${JSON.stringify(view)}`)
  })
  return view as MessageView
}

describe('POST /v1/messages', () => {
  it('is answered when the message is durable, and it is delivered like any other', async () => {
    const message = text()
    const { status, body } = await submit({
      sender: 'ops@home.test',
      recipients: ['ann@home.test', 'bob+x@also.test'],
      message,
    })
    expect({ status, body }).toMatchObject({ status: 201, body: { state: 'accepted' } })
    const { id } = body as Submitted
    const view = await known(id, ({ state }) => state === 'finished')
    expect(view).toMatchObject({ origin: 'api', sender: 'ops@home.test', subject: `number ${serial}` })
    expect(view.recipients).toMatchObject([
      { address: 'ann@home.test' },
      { address: 'bob@home.test', original: 'bob+x@also.test' },
    ])
    const mail = (await live.mail('ann@home.test')).find((one) => one.includes(id))
    expect(mail).toContain(`Received: by `)
    expect(mail?.endsWith(message.replaceAll('\n', '\r\n'))).toBe(true)
    expect(mail).toMatch(/^Date: /m)
    expect((await live.api.get<{ items: object[] }>('/v1/audit', { q: id })).items).toHaveLength(1)
  })

  it('takes octets that are no UTF-8 as base64', async () => {
    const octets = Buffer.from('Subject: latin\r\n\r\ngr\xfc\xdfe\r\n', 'latin1')
    const { body } = await submit({ recipients: ['ann@home.test'], messageBase64: octets.toString('base64') })
    const { id } = body as Submitted
    await known(id, ({ state }) => state === 'finished')
    const { readFile, readdir } = await import('node:fs/promises')
    const inbox = `${live.postern.dataDirectory}/mail/home.test/ann/new`
    const name = (await readdir(inbox)).find((one) => one.includes(id)) as string
    expect((await readFile(`${inbox}/${name}`)).includes(octets)).toBe(true)
  })

  it('refuses what the rules refuse, names the recipient, and stores nothing', async () => {
    const before = (await live.postern.books()).total.received
    const unknown = await submit({ recipients: ['ann@home.test', 'nobody@home.test'], message: text() })
    expect(unknown).toMatchObject({ status: 422, body: { errors: [{ path: 'recipients.1' }] } })
    expect(unknown.text).toContain('550 5.1.1')
    await live.set('general', { maxMessageBytes: 100 })
    const large = await submit({ recipients: ['ann@home.test'], message: `${text()}${'x'.repeat(200)}` })
    expect(large).toMatchObject({ status: 422, body: { errors: [{ path: 'message' }] } })
    expect((await live.postern.books()).total.received).toBe(before)
  })

  it('with an Idempotency-Key is taken once, also twice at once', async () => {
    const body = { recipients: ['ann@home.test'], message: text() }
    const key = { 'idempotency-key': 'submit-once' }
    const answers = await Promise.all([submit(body, key), submit(body, key), submit(body, key)])
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
    const ids = new Set(answers.map(({ body }) => (body as Submitted).id))
    expect(ids.size).toBe(1)
    await known([...ids][0] as string, ({ state }) => state === 'finished')
    expect((await live.mail('ann@home.test')).filter((one) => one.includes(`number ${serial}\r`))).toHaveLength(1)
    expect((await submit({ ...body, message: text() }, key)).status).toBe(422)
  })

  it('needs a role and a body that makes sense', async () => {
    for (const body of [
      {},
      { recipients: [], message: 'x' },
      { recipients: ['ann@home.test'] },
      { recipients: ['ann@home.test'], message: 'x', messageBase64: 'eHg=' },
      { recipients: ['not an address'], message: 'x' },
      { recipients: ['ann@home.test\r\nDATA'], message: 'x' },
      { sender: '<>', recipients: ['ann@home.test'], message: 'x' },
      { recipients: ['ann@home.test'], messageBase64: '%%%' },
      { recipients: ['ann@home.test'], message: 'x', also: 1 },
    ])
      expect((await submit(body)).status, JSON.stringify(body)).toBe(422)
    const { body } = await live.api.call('POST', '/v1/tokens', { body: { name: 'looks', role: 'viewer' } })
    const { token: secret } = body as { token: string }
    expect((await live.api.call('POST', '/v1/messages', { body: {}, token: secret })).status).toBe(403)
    expect((await content('019a0000-0000-7000-8000-000000000000', secret)).status).toBe(403)
  })

  it('gets through a worker that is restarted meanwhile', async () => {
    await live.postern.kill('smtp')
    const { status, body } = await submit({ recipients: ['ann@home.test'], message: text() })
    expect([201, 202]).toContain(status)
    await known((body as Submitted).id, ({ state }) => state === 'finished')
    await live.hold()
  })
})

describe('GET /v1/messages/{id}/content', () => {
  const held = async (message = text()) => {
    await live.api.post('/v1/services/queue/stop')
    const { body } = await submit({ recipients: ['ann@home.test'], message })
    const { id } = body as Submitted
    await known(id, ({ trace }) => trace.length > 0)
    return id
  }

  it('is the message as it waits, a download, and each look is audited', async () => {
    const message = `From: a@b.test\nSubject: <script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n`
    const id = await held(message)
    const answer = await content(id)
    expect(answer.status).toBe(200)
    expect(answer.text.endsWith(message.replaceAll('\n', '\r\n'))).toBe(true)
    expect(answer.headers.get('content-type')).toBe('message/rfc822')
    expect(answer.headers.get('content-disposition')).toBe(`attachment; filename="${id}.eml"`)
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(Number(answer.headers.get('postern-octets'))).toBe(Buffer.byteLength(answer.text))
    const { items } = await live.api.get<{ items: { action: string }[] }>('/v1/audit', { q: id })
    expect(items.filter(({ action }) => action === 'message.read')).toHaveLength(1)
    await live.api.post('/v1/services/queue/start')
    await known(id, ({ state }) => state === 'finished')
    expect((await content(id)).status).toBe(410)
    expect((await content('019a0000-0000-7000-8000-000000000000')).status).toBe(404)
  })

  it('a large message is cut, and its length told', async () => {
    const id = await held(`Subject: large\n\n${`${'x'.repeat(70)}\n`.repeat(50_000)}`)
    const answer = await content(id)
    expect(answer.status).toBe(200)
    expect(answer.text.length).toBeLessThanOrEqual(4 * 1024 * 1024)
    expect(Number(answer.headers.get('postern-octets'))).toBeGreaterThan(3_500_000)
    await live.api.post('/v1/services/queue/start')
  })
})
