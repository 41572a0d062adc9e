import { connect } from '@postern/smtp/test/wire-client.ts'
import { afterEach, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { type Postern, startPostern } from '../system/postern.ts'
import { copySettings } from './kinds/settings.ts'

/** An administrator restores an older settings.db, and the workers enforce what the console shows. */

let postern: Postern | undefined
afterEach(() => postern?.stop())
showLogsOnFailure(() => [postern])

/** Returns what a client sees: the size limit, and whether this machine may relay. */
async function enforced({ host, smtpPort }: Postern) {
  const client = await connect({ host, port: smtpPort })
  const size = (await client.hello()).get('SIZE')
  await client.ask('MAIL FROM:<a@far.test>')
  const { code: relay } = await client.ask('RCPT TO:<b@elsewhere.test>')
  await client.quit()
  return { size, relay }
}

const shown = async ({ api }: Postern) =>
  String((await api.get<{ settings: { maxMessageBytes: number } }>('/v1/settings/general')).settings.maxMessageBytes)

it.each([
  ['fewer revisions than the workers have', 0],
  ['as many', 3],
  ['more', 5],
])('settings put back, then %s', { timeout: 400_000 }, async (_, changesAfter) => {
  postern = await startPostern({ readyWithinMs: 120_000 })
  const { api } = postern
  const relay = await api.get<{ items: { id: string }[] }>('/v1/lists/relay')
  for (const { id } of relay.items) await api.call('DELETE', `/v1/lists/relay/${id}`)
  await api.patch('/v1/settings/general', { maxMessageBytes: 11_111_111 })
  const putBack = await copySettings(postern)
  await api.patch('/v1/settings/general', { maxMessageBytes: 22_222_222 })
  await api.post('/v1/lists/relay', { value: '127.0.0.0/8' })
  await postern.settle(
    (await api.patch<{ revision: number }>('/v1/settings/queue', { retryTimerMinutes: 31 })).revision,
  )
  expect(await enforced(postern)).toEqual({ size: '22222222', relay: 250 })

  await postern.kill('api')
  await putBack()
  await postern.restart()
  for (let i = 0; i < changesAfter; i++) await api.patch('/v1/settings/queue', { retryTimerMinutes: 40 + i })
  expect(await shown(postern)).toBe('11111111')
  const it = postern
  await expect.poll(() => enforced(it)).toEqual({ size: '11111111', relay: 550 })
  await postern.settle()
  expect((await postern.workers()).filter(({ otherHistory, lag }) => otherHistory || lag > 0)).toEqual([])
})
