import { expect, test } from 'vitest'
import { valuesOf } from './event-values.ts'

const event = (type: string, fields: object) => ({
  ...{ id: 'smtp-1.0.7', worker: 'smtp-1', n: 7, at: '2026-11-30T12:00:00.000Z', type, title: type, text: type },
  ...fields,
})
const of = (fields: object) =>
  valuesOf(event('command.refused', fields))
    .filter(({ key }) => key !== 'worker' && key !== 'type')
    .map(({ key, value }) => `${key} ${value}`)

test('an event has the values of the columns that it is found by', () => {
  expect(
    of({
      sender: '',
      recipients: [{ address: 'a@b.example', original: 'x@b.example' }, 'c@d.example', 'c@d.example'],
      client: { ip: '192.0.2.1', login: 'jane' },
      verdict: { rule: 'kill-file', reason: 'killed', reply: '550 5.7.1 no\r\n550 5.7.1 more' },
    }),
  ).toEqual([
    'sender ',
    'recipient a@b.example',
    'recipient c@d.example',
    'client 192.0.2.1',
    'login jane',
    'rule kill-file',
    'reason killed',
    'code 550',
    'code 5.7.1',
  ])
  expect(of({ reply: '421 4.3.2', address: '192.0.2.9', recipient: 'a@b.example', status: '5.0.0' })).toEqual([
    'recipient a@b.example',
    'client 192.0.2.9',
    'code 421',
    'code 4.3.2',
  ])
})

test('an event of a newer version breaks nothing', () => {
  expect(of({ sender: 7, recipients: [null, 3, {}], client: null, verdict: 'x', reply: {}, reason: '' })).toEqual([])
})
