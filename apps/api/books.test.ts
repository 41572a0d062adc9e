import { hourOf } from '@postern/log/file-names.ts'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkBooks, duplicatesFound } from './check-books.ts'
import { type Fixture, startFixture } from './test/fixture.ts'
import { queueManagerFor, waitingMessage } from './test/queue-manager.ts'
import { workerReport } from './test/worker-report.ts'

let api: Fixture
const id = (i: number) => `019a0000-0000-7000-8000-${String(i).padStart(12, '0')}`
const queue = queueManagerFor(() => api)

beforeAll(async () => {
  api = await startFixture()
  await queue.tell({ waiting: [2, 3].map((i) => waitingMessage(id(i), [{ address: `${i}@example.com` }])) })
})

describe('the books', () => {
  const books = async () => (await api.send('GET', '/v1/books')).json
  const newest = async (type: string) => (await api.send('GET', `/v1/events?type=${type}`)).json.items

  it('tell of a balance once, in an event and a metric', async () => {
    await checkBooks(api.parts)
    expect(await newest('books.unbalanced')).toEqual([])
    await api.parts.records.run('delete from waiting_recipients')
    expect((await books()).total.balance).toBe(2)
    expect((await api.send('GET', '/metrics')).text).toContain('postern_books_balance 2')
    for (let i = 0; i < 2; i++) {
      api.clock.ahead += 60_000
      await checkBooks(api.parts)
    }
    expect(await newest('books.unbalanced')).toMatchObject([{ balance: 2, queued: 0 }])
    await queue.everything()
    expect((await books()).total.balance).toBe(0)
  })

  it('count what was found delivered twice, and tell of it once', async () => {
    const hour = hourOf(Date.now())
    const messages = [{ messageId: id(1), recipients: ['a@example.net', 'b@example.com'] }]
    for (let i = 0; i < 2; i++) await duplicatesFound(api.parts, { hour, worker: 'queue-2', messages })
    expect((await books()).total).toMatchObject({ duplicates: 2, balance: 0 })
    expect(await newest('delivery.duplicate')).toMatchObject([
      { messageId: id(1), text: expect.stringContaining('queue-2') },
    ])
  })

  it('refuse pages of other services and pages that are no pages', async () => {
    const page = { incarnation: 1, from: 0, to: 0, waiting: [], gone: [] }
    const send = async (body: object, token: string) =>
      (await api.send('POST', '/v1/worker/queue', { token, body })).status
    expect(await send(page, await api.tokens.smtp())).toBe(403)
    expect(await send({ ...page, gone: ['x'] }, await api.tokens.queue())).toBe(422)
    expect(await send({ ...page, from: -1 }, await api.tokens.queue())).toBe(422)
  })

  it("keep a removed worker's waiting mail until somebody says that it is to be forgotten", async () => {
    await api.send('POST', '/v1/worker/report', {
      token: await api.tokens.queue(),
      body: workerReport('queue'),
    })
    api.clock.ahead += 120_000
    const remove = (query = '') => api.send('DELETE', `/v1/workers/queue-1${query}`)
    expect((await remove()).status).toBe(409)
    expect((await api.send('GET', '/v1/queue')).json.items).toHaveLength(2)
    expect((await remove('?forgetWaiting=true')).status).toBe(200)
    expect((await api.send('GET', '/v1/queue')).json.items).toEqual([])
    expect((await books()).total.balance).toBe(0)
  })
})
