import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { selfSigned } from '../peers/certificate.ts'
import { until } from '../peers/peer.ts'
import { livePostern } from '../wire/live.ts'
import { type Around, startAround } from './around.ts'
import { casesOnDisk } from './case.ts'
import { askSimulation } from './doors.ts'
import { eventsByClient, expectedOf, recordedOf } from './events.ts'
import { expectThat } from './expect.ts'
import { setTheWorld, speak } from './live.ts'
import { casesOfTheOrder } from './order.ts'
import { accounts, asked, password } from './world.ts'

/** Runs every case, from files and from the table of provocations, through the API and a live worker. decide.test.ts runs them in process. */

const cases = [...casesOnDisk(), ...casesOfTheOrder()]
const titled = cases.map((one) => [`${one.number} ${one.name}`, one] as const)

let around: Around
beforeAll(async () => {
  around = await startAround(cases)
})
afterAll(() => around?.stop())

const live = livePostern({
  postern: () => ({ dns: around.dns.server, env: { POSTERN_HOOKS_MAY_REACH: asked } }),
  prepare: async (live) => {
    await live.make('domains', { name: 'example.org', aliases: ['example.net'] })
    for (const address of accounts) await live.make('accounts', { address, secret: password })
    const { cert, key } = await selfSigned(['mx.test'])
    await live.make('certificates', { name: 'mx', certificate: cert, privateKey: key })
    await setTheWorld(live, around, emptyCase)
  },
})

const emptyCase = { given: {}, facts: {} }

describe('POST /v1/simulate', () => {
  it.each(titled)('%s', async (_, one) => expectThat(one, await askSimulation(live.api, one)))
})

describe('a live worker', () => {
  // Cases with the same settings follow each other, so that there are fewer changes to wait for.
  const grouped = [...titled].sort(([, a], [, b]) => JSON.stringify(a.given).localeCompare(JSON.stringify(b.given)))

  it.each(grouped)('%s', async (_, one) => {
    await setTheWorld(live, around, one)
    const heard = await speak(live, one)
    expect(heard.map(({ says, expects, reply }) => `${says} → ${reply.slice(0, expects.length)}`)).toEqual(
      heard.map(({ says, expects }) => `${says} → ${expects}`),
    )
  })

  it('recorded exactly the expected events about the clients of the cases', async () => {
    await setTheWorld(live, around, emptyCase)
    const differing = async () => {
      const recorded = await eventsByClient(live.api)
      return grouped
        .map(([name, one]) => ({ name, wanted: expectedOf(one), found: recordedOf(recorded.get(one.ip) ?? [], one) }))
        .filter(({ wanted, found }) => !isDeepStrictEqual(wanted, found))
    }
    let left: unknown[] = []
    const isThere = async () => {
      left = await differing()
      return left.length === 0
    }
    await until('storage has the events of every case', isThere, { withinMs: 15_000, everyMs: 300 }).catch(() => {})
    expect(left).toEqual([])
  })
})
