import { appendFile, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EventType } from '@postern/contract/events.ts'
import { parseRow, type Replica, type Row, type RowChange } from '@postern/contract/rows.ts'
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { Follower } from './follower.ts'
import { LastGood } from './last-good.ts'

const entry = (value: string) => ({ value, createdBy: 'test', createdAt: '2026-01-01T00:00:00Z' })
const kill = (id: string, value: string | null): Row => ({
  kind: 'kill',
  id,
  value: value === null ? null : entry(value),
})

/** The API's side: every revision ever, as rows; rows may be broken on purpose. */
function history(name = 'a') {
  const changes: (RowChange | { revision: number; broken: true })[] = []
  let floor = 0
  const read = (change: (typeof changes)[number]) => {
    if ('broken' in change)
      return parseRow({ kind: 'settings', id: 'general', value: { relayMode: 'perhaps' } }) as RowChange
    return change
  }
  const head = () => changes.at(-1)?.revision ?? 1
  const idOf = (revision: number) => `${name}${revision}`
  return {
    write: (...rows: Row[]) => {
      const revision = head() + 1
      for (const row of rows) changes.push({ ...row, revision })
      return revision
    },
    /** From here on the same numbers stand for other revisions. */
    putBack: (to: number, as: string) => {
      while (head() > to) changes.pop()
      name = as
    },
    writeBroken: () => changes.push({ revision: head() + 1, broken: true }),
    forgetBefore: (revision: number) => {
      floor = revision
    },
    controlPlane: {
      snapshot: async () => {
        const rows = new Map<string, Row>()
        for (const change of changes.map(read)) rows.set(`${change.kind} ${change.id}`, change)
        return { revision: head(), id: idOf(head()), rows: [...rows.values()].filter(({ value }) => value !== null) }
      },
      changes: async ({ revision: after, id }: { revision: number; id: string }) => {
        if (after < floor || after > head() || id !== idOf(after)) return 'snapshot-needed' as const
        const newer = changes.filter((change) => change.revision > after)
        return { revision: head(), id: idOf(head()), changes: newer.map(read) }
      },
    },
  }
}

const opened: LastGood[] = []
afterEach(async () => {
  for (const lastGood of opened.splice(0)) await lastGood.close()
})

async function follower(api: ReturnType<typeof history>, directory?: string) {
  const applied: { revision: number; kill: string[] }[] = []
  const events: EventType[] = []
  const state = { refuse: false }
  const lastGood = new LastGood(directory ?? (await mkdtemp(join(tmpdir(), 'postern-follow-'))))
  opened.push(lastGood)
  const values = (replica: Replica) => [...replica.kill.values()].map(({ value }) => value).sort()
  const it = new Follower({
    controlPlane: api.controlPlane,
    lastGood,
    service: {
      apply: ({ replica, revision }) => {
        if (state.refuse) throw new Error('does not compile')
        applied.push({ revision, kill: values(replica) })
      },
    },
    record: (type) => void events.push(type),
    moved: () => {},
  })
  return { it, applied, events, state }
}

test('lost, doubled and reordered notifications change nothing: the number decides', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ write: fc.boolean(), notifications: fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 4 }) }),
        { maxLength: 10 },
      ),
      async (steps) => {
        const api = history()
        api.write(kill('0', 'a@b.example'))
        const { it, applied } = await follower(api)
        await it.ask()
        let head = it.revision
        for (const [i, step] of steps.entries()) {
          if (step.write) head = api.write(kill(String(i % 3), i % 4 === 3 ? null : `u${i}@b.example`))
          for (const notification of step.notifications) it.notify(notification)
        }
        await it.ask()
        expect(it.revision).toBe(head)
        const revisions = applied.map(({ revision }) => revision)
        expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b))
        const { rows } = await api.controlPlane.snapshot()
        expect(applied.at(-1)?.kill).toEqual(rows.map((row) => (row.value as { value: string }).value).sort())
      },
    ),
    { numRuns: 60 },
  )
})

test('settings that do not parse are refused: the last good ones stay, the refusal is one event, and the next good revision heals', async () => {
  const api = history()
  api.write(kill('1', 'a@b.example'))
  const { it, applied, events } = await follower(api)
  await it.ask()
  api.writeBroken()
  await expect(it.ask()).rejects.toThrow(/relayMode/)
  await expect(it.ask()).rejects.toThrow(/relayMode/)
  expect(it.revision).toBe(2)
  expect(it.refused?.error).toMatch(/settings general.*relayMode/)
  expect(applied).toHaveLength(1)
  expect(events.filter((type) => type === 'policy.refused')).toHaveLength(1)
})

test('settings that the service refuses leave the state as it was', async () => {
  const api = history()
  api.write(kill('1', 'a@b.example'))
  const { it, applied, state } = await follower(api)
  await it.ask()
  state.refuse = true
  api.write(kill('1', null), kill('2', 'c@d.example'))
  await it.ask()
  expect(it.revision).toBe(2)
  expect(it.refused).toEqual({ revision: 3, error: 'does not compile' })
  state.refuse = false
  api.write(kill('3', 'e@f.example'))
  await it.ask()
  expect(applied.at(-1)).toEqual({ revision: 4, kill: ['c@d.example', 'e@f.example'] })
  expect(it.refused).toBeUndefined()
})

test('a worker starts from disk with what was in force last, through any number of changes', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-follow-'))
  const api = history()
  api.write(kill('1', 'a@b.example'))
  const first = await follower(api, directory)
  await first.it.ask()
  for (let i = 0; i < 20; i++) {
    api.write(kill(String(i % 5), `u${i}@b.example`))
    await first.it.ask()
  }
  const second = await follower(api, directory)
  expect(await second.it.resume()).toBe(true)
  expect(second.applied).toEqual([{ revision: 22, kill: first.applied.at(-1)?.kill }])
})

test('what a crash tore off the disk is asked for again', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-follow-'))
  const api = history()
  api.write(kill('1', 'a@b.example'))
  const first = await follower(api, directory)
  await first.it.ask()
  api.write(kill('2', 'c@d.example'))
  await first.it.ask()
  await appendFile(join(directory, 'settings-changes.ndjson'), '{"kind":"kill","id":"3","value":{"val')
  const second = await follower(api, directory)
  await second.it.resume()
  expect(second.it.revision).toBe(3)
  api.write(kill('4', 'g@h.example'))
  await second.it.ask()
  const third = await follower(api, directory)
  await third.it.resume()
  expect(third.applied).toEqual([{ revision: 4, kill: ['a@b.example', 'c@d.example', 'g@h.example'] }])
})

test('a damaged snapshot on disk is the same as none', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-follow-'))
  await writeFile(join(directory, 'settings.ndjson'), '{"revision":5}\n{"kind":"kill","id"')
  const { it, applied } = await follower(history(), directory)
  expect(await it.resume()).toBe(false)
  expect(applied).toEqual([])
})

test('too far behind: the snapshot is taken instead', async () => {
  const api = history()
  api.write(kill('1', 'a@b.example'))
  const { it, applied } = await follower(api)
  await it.ask()
  api.write(kill('2', 'c@d.example'))
  api.write(kill('1', null))
  api.forgetBefore(4)
  await it.ask()
  expect(applied.at(-1)).toEqual({ revision: 4, kill: ['c@d.example'] })
})

test.each([
  ['fewer', 0],
  ['as many', 2],
  ['more', 3],
])(
  'a backup that was put back and has %s revisions since: what it says is in force, also after a restart',
  async (_, written) => {
    const directory = await mkdtemp(join(tmpdir(), 'postern-follow-'))
    const api = history()
    api.write(kill('1', 'a@b.example'))
    const first = await follower(api, directory)
    await first.it.ask()
    api.write(kill('2', 'open@relay.example'))
    api.write(kill('3', 'c@d.example'))
    await first.it.ask()
    expect(first.it.revision).toBe(4)
    api.putBack(2, 'b')
    for (let i = 0; i < written; i++) api.write(kill(`9${i}`, `z${i}@b.example`))
    const { rows, revision, id } = await api.controlPlane.snapshot()
    const wanted = rows.map((row) => (row.value as { value: string }).value).sort()
    first.it.told({ revision, id })
    await first.it.ask()
    expect(first.applied.at(-1)).toEqual({ revision, kill: wanted })
    const second = await follower(api, directory)
    await second.it.resume()
    expect(second.applied).toEqual([{ revision, kill: wanted }])
  },
)
