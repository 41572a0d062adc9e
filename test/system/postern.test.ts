import { connect } from '@postern/smtp/test/wire-client.ts'
import { afterEach, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { runSwaks } from '../peers/swaks.ts'
import type { ApiRefusal } from './api.ts'
import { type Postern, startPostern } from './postern.ts'

let postern: Postern | undefined
showLogsOnFailure(() => [postern])
afterEach(async () => {
  await postern?.stop()
  postern = undefined
})

it('starts, accepts mail for a domain made with the API, applies a change, survives kill -9, and exits with 0', async () => {
  postern = await startPostern()
  await postern.settle()
  await postern.api.post('/v1/domains', { name: 'a.test', route: { type: 'discard' } })
  const account = { address: 'ann@a.test', login: 'ann', secret: 'a long enough secret' }
  const made = await postern.api.post('/v1/accounts', account)
  await postern.settle(made.revision)
  const taken = await runSwaks({ host: postern.host, port: postern.smtpPort }, ['--to', 'ann@a.test'])
  expect(taken).toMatchObject({ code: 0 })

  const changed = await postern.api.patch('/v1/settings/general', { maxMessageBytes: 1000 })
  await postern.settle(changed.revision)
  const client = await connect({ port: postern.smtpPort, from: '127.0.0.7' })
  expect((await client.hello()).get('SIZE')).toBe('1000')
  await client.say('MAIL FROM:<x@b.test> SIZE=2000').expect(552, '5.3.4')
  await client.quit()

  const stale = postern.api.patch('/v1/settings/general', { maxMessageBytes: 0 }, { ifMatch: made.revision })
  await expect(stale).rejects.toSatisfy((error: ApiRefusal) => error.status === 412)

  for (const part of ['smtp', 'queue'] as const) {
    const before = postern.pids(part)
    await postern.kill(part)
    await expect.poll(() => postern?.pids(part).length).toBe(1)
    expect(postern.pids(part)).not.toEqual(before)
  }
  const workers = [...postern.pids('smtp'), ...postern.pids('queue')]
  await postern.kill('api')
  await postern.restart()
  expect([...postern.pids('smtp'), ...postern.pids('queue')]).toEqual(workers)
  await postern.settle()
  expect((await postern.quiet()).total).toMatchObject({ received: 1, discarded: 1, balance: 0 })
  await postern.stop()
})
