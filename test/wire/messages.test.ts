import type { MessageView } from '@postern/contract/views.ts'
import { describe, expect, it } from 'vitest'
import { until } from '../peers/peer.ts'
import { homeDomain, livePostern } from './live.ts'

/** Messages submitted and downloaded through the API, which uses a worker's spool. */

const live = livePostern({ prepare: homeDomain })

type Submitted = {
  id: string
  state: string
}
let serial = 0
const text = () => `From: ops@home.test\nSubject: number ${++serial}\n\nhello\n.dot\n`
const submit = (body: object, headers: Record<string, string> = {}) =>
  live.api.call('POST', '/v1/messages', { body, headers })
const content = (id: string, token?: string) =>
  live.api.call('GET', `/v1/messages/${id}/content`, token ? { token } : {})

/** The limit of a test is longer: a machine with other work delivers late, but it delivers. */
const patience = { withinMs: 100_000 }

async function known(id: string, fits: (view: MessageView) => boolean): Promise<MessageView> {
  let view: MessageView | undefined
  await until(
    `${id} is known`,
    async () => {
      const answer = await live.api.call('GET', `/v1/messages/${id}`)
      view = answer.status === 200 ? (answer.body as MessageView) : undefined
      return view !== undefined && fits(view)
    },
    patience,
  ).catch((error) => {
    throw new Error(`${error.message}; it is ${JSON.stringify(view)}`)
  })
  return view as MessageView
}

/** Recipients in the books, once they do not change: the Queue Manager tells its counts at most once a second. */
async function countedSoFar(): Promise<number> {
  for (let last = -1; ; ) {
    const { received } = (await live.postern.quiet()).total
    if (received === last) return received
    last = received
    await new Promise((resolve) => setTimeout(resolve, 1_500))
  }
}

describe('POST /v1/messages', () => {
  it('answers when the message is durable, and delivers it like any other', async () => {
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

  it('removes Bcc, folded or not', async () => {
    const message = text().replace('\n\n', '\nBCC : bob@home.test,\n\tcarl@home.test\nTo: ann@home.test\n\nBcc: body\n')
    const { body } = await submit({ sender: 'ops@home.test', recipients: ['ann@home.test'], message })
    const { id } = body as Submitted
    await known(id, ({ state }) => state === 'finished')
    const mail = (await live.mail('ann@home.test')).find((one) => one.includes(id)) ?? ''
    expect(mail).not.toContain('carl@home.test')
    expect(mail).toContain('\r\nTo: ann@home.test\r\n\r\nBcc: body\r\n')
  })

  it('accepts bytes that are not UTF-8 as base64', async () => {
    const bytes = Buffer.from('Subject: latin\r\n\r\ngr\xfc\xdfe\r\n', 'latin1')
    const { body } = await submit({ recipients: ['ann@home.test'], messageBase64: bytes.toString('base64') })
    const { id } = body as Submitted
    await known(id, ({ state }) => state === 'finished')
    const { readFile, readdir } = await import('node:fs/promises')
    const inbox = `${live.postern.dataDirectory}/mail/home.test/ann/new`
    const name = (await readdir(inbox)).find((one) => one.includes(id)) as string
    expect((await readFile(`${inbox}/${name}`)).includes(bytes)).toBe(true)
  })

  it('refuses mail that the rules refuse, names the recipient, and stores nothing', async () => {
    const before = await countedSoFar()
    const unknown = await submit({ recipients: ['ann@home.test', 'nobody@home.test'], message: text() })
    expect(unknown).toMatchObject({ status: 422, body: { errors: [{ path: 'recipients.1' }] } })
    expect(unknown.text).toContain('550 5.1.1')
    await live.set('general', { maxMessageBytes: 100 })
    const large = await submit({ recipients: ['ann@home.test'], message: `${text()}${'x'.repeat(200)}` })
    expect(large).toMatchObject({ status: 413, body: { errors: [{ path: 'message' }] } })
    expect(large.text).toContain('100 bytes')
    expect(await countedSoFar()).toBe(before)
  })

  it('with an Idempotency-Key is accepted once, even for simultaneous requests', async () => {
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
})

describe('GET /v1/messages/{id}/content', () => {
  const held = async (message = text()) => {
    await live.api.post('/v1/services/queue/stop')
    const { body } = await submit({ recipients: ['ann@home.test'], message })
    const { id } = body as Submitted
    await known(id, ({ trace }) => trace.length > 0)
    return id
  }

  it('downloads the waiting message unchanged, and audits each download', async () => {
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

  it('accepts a message of 24 MiB in JSON and as message/rfc822, which is found at once and shown whole', async () => {
    const lines = `${'x'.repeat(70)}\r\n`.repeat(350_000)
    const message = `Subject: large\r\n\r\n.${lines}gr\u00fc\u00dfe\r\n`
    const bytes = Buffer.from(message)
    expect(bytes.length).toBeGreaterThan(24 * 1024 * 1024)
    await live.api.post('/v1/services/queue/stop')
    const forms = [
      () => submit({ recipients: ['ann@home.test'], messageBase64: bytes.toString('base64') }),
      () => raw('?recipients=ann@home.test,bob@home.test&sender=ops@home.test', bytes),
    ]
    try {
      for (const form of forms) {
        const { status, body, text } = await form()
        expect({ status, text }).toMatchObject({ status: 201 })
        const { id } = body as Submitted
        const view = await live.api.get<MessageView>(`/v1/messages/${id}`)
        expect(view.size).toBe(bytes.length)
        const answer = await content(id)
        expect(answer.text.length).toBeGreaterThan(message.length)
        expect(answer.text.endsWith(message)).toBe(true)
        expect(Number(answer.headers.get('postern-octets'))).toBe(Buffer.byteLength(answer.text))
      }
    } finally {
      // If it fails here, the tests after it still have their Queue Manager.
      await live.api.post('/v1/services/queue/start')
    }
  })
})

const raw = (query: string, bytes: Buffer, headers: Record<string, string> = {}) =>
  live.api.call('POST', `/v1/messages${query}`, { bytes, headers: { 'content-type': 'message/rfc822', ...headers } })

describe('POST /v1/messages with a body of message/rfc822', () => {
  it('accepts the bytes unchanged, with the envelope from the query', async () => {
    const bytes = Buffer.from('Subject: latin\n\ngr\xfc\xdfe\nno end', 'latin1')
    const { status, body, headers } = await raw('?sender=&recipients=ann@home.test', bytes)
    expect(status).toBe(201)
    const { id, revision } = body as Submitted & { revision: number }
    expect(headers.get('etag')).toBe(`"${revision}"`)
    await known(id, ({ state }) => state === 'finished')
    const [mail] = (await live.mail('ann@home.test')).filter((one) => one.includes(id))
    expect(mail).toMatch(/no end\r\n$/)
  })

  it('the limit is general.maxMessageBytes in every format, and no part of a larger message is stored', async () => {
    await live.set('general', { maxMessageBytes: 6_000_000 })
    const bytes = Buffer.alloc(6_000_001, 'Subject: x\r\n\r\nx\r\n')
    const sent = [
      await raw('?recipients=ann@home.test', bytes),
      await submit({ recipients: ['ann@home.test'], message: bytes.toString() }),
      await submit({ recipients: ['ann@home.test'], messageBase64: bytes.toString('base64') }),
      await submit({ recipients: ['ann@home.test'], message: 'x'.repeat(14_000_000) }),
    ]
    for (const { status, body, headers } of sent) {
      expect(status).toBe(413)
      expect(headers.get('content-type')).toBe('application/problem+json')
      expect(body).toMatchObject({ detail: expect.stringContaining('6000000 bytes') })
    }
    expect((await raw('?recipients=ann@home.test', bytes.subarray(0, 5_900_000))).status).toBe(201)
  })

  it('says what is wrong with the envelope, and a dry run stores nothing', async () => {
    const bytes = Buffer.from('Subject: x\n\nx\n')
    for (const query of [
      '',
      '?recipients=',
      '?recipients=ann',
      '?recipients=ann@home.test&sender=x',
      '?to=ann@home.test',
    ])
      expect((await raw(query, bytes)).status, query).toBe(422)
    expect((await raw('?recipients=ann@home.test', Buffer.alloc(0))).status).toBe(422)
    const json = { recipients: ['ann@home.test'], message: 'x' }
    expect((await live.api.call('POST', '/v1/messages?recipients=ann@home.test', { body: json })).status).toBe(415)
    const before = await countedSoFar()
    const dry = await raw('?recipients=ann@home.test&dryRun=true', bytes)
    expect(dry).toMatchObject({ status: 200, body: { dryRun: true } })
    const unknown = await raw('?recipients=nobody@home.test&dryRun=true', bytes)
    expect(unknown).toMatchObject({ status: 422, body: { errors: [{ path: 'recipients.0' }] } })
    expect(await countedSoFar()).toBe(before)
    expect((await raw('?recipients=ann@home.test', bytes, { 'if-match': '"1"' })).status).toBe(412)
  })

  it('with an Idempotency-Key is accepted once', async () => {
    const bytes = Buffer.from(text())
    const key = { 'idempotency-key': 'raw-once' }
    const send = () => raw('?recipients=ann@home.test', bytes, key)
    const answers = await Promise.all([send(), send(), send()])
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
    expect(new Set(answers.map(({ body }) => (body as Submitted).id)).size).toBe(1)
    expect((await raw('?recipients=bob@home.test', bytes, key)).status).toBe(422)
  })
})

describe('last, because it replaces the worker', () => {
  it('survives a restart of the worker', async () => {
    await live.postern.kill('smtp')
    const { status, body } = await submit({ recipients: ['ann@home.test'], message: text() })
    expect([201, 202]).toContain(status)
    await known((body as Submitted).id, ({ state }) => state === 'finished')
    await live.hold()
  })
})
