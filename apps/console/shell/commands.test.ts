import { settingGroupNames, settingGroups } from '@postern/contract/settings.ts'
import { expect, test } from 'vitest'
import { namedBy, pageCommands, settingCommands } from './commands.ts'

const id = '019a0000-0000-7000-8000-000000000001'

test.each([
  [id, [`/messages/${id}`]],
  [id.toUpperCase(), [`/messages/${id}`]],
  ['42', ['/revisions/42']],
  [' #42 ', ['/revisions/42']],
  ['192.0.2.1', ['/events', '/messages']],
  ['2001:db8::/32', ['/events', '/messages']],
  ['jane@example.org', ['/messages', '/messages', '/queue', '/events']],
  ['example.org', ['/queue', '/events']],
  ['queue.maxQueueHours', ['/settings/queue']],
  ['', []],
  ['tarpit', []],
  ['999.1.1.1', ['/queue', '/events']],
  ['a b@c', []],
  ['<script>', []],
])('"%s" names %j', (text, to) => {
  expect(namedBy(text).map((command) => command.to)).toEqual(to)
})

test('the text is the search, as it was typed', () => {
  expect(namedBy('o"b&=@example.org').map(({ search }) => search)[0]).toEqual({ sender: 'o"b&=@example.org' })
})

test('every setting of the catalogue is found by its key, and leads to its page', () => {
  const keys = settingGroupNames.flatMap((group) =>
    Object.keys(settingGroups[group].schema.shape).map((key) => `${group}.${key}`),
  )
  expect(settingCommands.map(({ keywords }) => keywords?.[0])).toEqual(keys)
  expect(settingCommands.every(({ to, setting }) => to.startsWith('/settings/') && setting)).toBe(true)
})

test('no two commands have the same name and place', () => {
  const names = [...pageCommands, ...settingCommands].map(({ label, detail }) => `${label}, ${detail}`)
  expect(new Set(names).size).toBe(names.length)
})
