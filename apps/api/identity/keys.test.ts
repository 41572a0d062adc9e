import { sweepIdentity } from '@postern/store/control/identity.ts'
import { expect, it } from 'vitest'
import { startFixture } from '../test/fixture.ts'
import { audiences, TokenKeys } from './keys.ts'

/** Two instances of the API, with keys of their own in memory and one database. */
const day = 86_400_000
const claims = { sub: 'someone' }

it('a key that another instance rotated and dropped signs nothing any more', async () => {
  const { parts, clock } = await startFixture()
  const [one, other] = [new TokenKeys(parts), new TokenKeys(parts)]
  const sign = (keys: TokenKeys) => keys.sign(claims, audiences.api, 900)
  const verify = (keys: TokenKeys, token: string) => keys.verify(token, [audiences.api])
  const early = await sign(one)
  await verify(other, early)
  await other.rotate()
  // A token of the retired key is accepted while it lasts, by both.
  for (const keys of [one, other]) expect(await verify(keys, early)).toMatchObject(claims)

  clock.ahead += day + 60_000
  await parts.control.transaction((queries) => sweepIdentity(queries, parts.now()))
  const fresh = new TokenKeys(parts)
  for (const keys of [other, fresh]) expect(await verify(keys, await sign(one))).toMatchObject(claims)
})

it('a dropped key is forgotten within five minutes by an instance that verified its tokens', async () => {
  const { parts, clock } = await startFixture()
  const [one, other] = [new TokenKeys(parts), new TokenKeys(parts)]
  await other.sign(claims, audiences.api, 900)
  const token = await one.sign(claims, audiences.api, 3 * day)
  await one.verify(token, [audiences.api])
  await other.rotate()
  clock.ahead += day + 60_000
  await parts.control.transaction((queries) => sweepIdentity(queries, parts.now()))
  await expect(one.verify(token, [audiences.api])).rejects.toThrow('not valid')
})

it('instances that start together on an empty database sign with one key', async () => {
  const { parts } = await startFixture()
  const instances = Array.from({ length: 8 }, () => new TokenKeys(parts))
  const tokens = await Promise.all(instances.map((keys) => keys.sign(claims, audiences.api, 900)))
  for (const token of tokens) expect(await new TokenKeys(parts).verify(token, [audiences.api])).toMatchObject(claims)
  expect((await new TokenKeys(parts).jwks()).keys).toHaveLength(1)
})
