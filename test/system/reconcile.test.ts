import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { freePort, until } from '../peers/peer.ts'
import { runSwaks } from '../peers/swaks.ts'
import { type Postern, startPostern } from './postern.ts'

/** What waits is in the queue again, and the books with it, after the API lost its records. */

let postern: Postern | undefined
showLogsOnFailure(() => [postern])
afterEach(async () => {
  await postern?.stop()
  postern = undefined
})

type Items = { items: { id: string; subject?: string; state: string }[] }

it('an emptied records database heals by itself: nothing that waits is invisible, orders reach it, and the books balance', async () => {
  postern = await startPostern()
  const { api, host, smtpPort, dataDirectory } = postern
  const closed = await freePort(host)
  const route = (port: number) => ({ type: 'smtp', host, port })
  await api.post('/v1/domains', { name: 'away.test', route: route(closed) })
  await api.post('/v1/domains', { name: 'here.test', route: { type: 'maildir' } })
  await api.post('/v1/accounts', { address: 'you@here.test', secret: 'correct horse battery' })
  const { revision } = await api.post<{ revision: number }>('/v1/accounts', {
    address: 'you@away.test',
    secret: 'correct horse battery',
  })
  await postern.settle(revision)
  const send = async (to: string) => {
    const mail = ['--from', 'me@my.test', '--to', to, '--header', 'Subject: waits']
    expect(await runSwaks({ host, port: smtpPort }, mail)).toMatchObject({ code: 0 })
  }
  await send('you@here.test')
  await send('you@away.test')
  await send('you@away.test')
  const queue = async () => (await api.get<Items>('/v1/queue')).items
  await until('two are deferred', async () => (await queue()).filter(({ state }) => state === 'deferred').length === 2)
  await until('one is delivered', async () => (await (postern as Postern).books()).total.delivered === 1)
  const before = await queue()
  const { total } = await postern.books()
  expect(total).toMatchObject({ received: 3, queued: 2, balance: 0 })

  await postern.kill('api')
  for (const suffix of ['', '-wal', '-shm']) await rm(join(dataDirectory, `events.db${suffix}`), { force: true })
  await postern.restart()
  await until('both are in the queue again', async () => (await queue()).length === 2, { withinMs: 60_000 })
  expect((await queue()).map(({ id, subject }) => [id, subject])).toEqual(before.map(({ id }) => [id, 'waits']))
  expect((await postern.books()).total).toEqual(total)
  for (const { id } of before) await api.post(`/v1/messages/${id}/delete`, {})
  const books = await postern.quiet()
  expect(books.total).toMatchObject({ received: 3, delivered: 1, discarded: 2, balance: 0 })
  expect(books.receivers).toEqual({ messages: 3, recipients: 3 })
})
