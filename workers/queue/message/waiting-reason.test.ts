import { expect, test } from 'vitest'
import { heldBy, reasonFrom, reasonText } from './waiting-reason.ts'

test('holder, cause and reply come back as they were', () => {
  const reasons = [
    { holder: '', cause: '', reply: '' },
    { holder: 'ops@example.org', cause: '', reply: '' },
    { holder: '', cause: 'cannot-connect', reply: 'mx.test: ECONNREFUSED' },
    { holder: 'a rule', cause: 'refused', reply: '450 4.2.1 busy' },
    { holder: '', cause: '', reply: '450 only a reply' },
  ]
  for (const reason of reasons) expect(reasonFrom(reasonText(reason), reason.holder !== '')).toEqual(reason)
})

test('a hold keeps the reply, and a second one replaces the first', () => {
  const text = heldBy(heldBy(reasonText({ cause: 'c', reply: '450 busy' }), 'jane'), 'joe')
  expect(reasonFrom(text, true)).toEqual({ holder: 'joe', cause: 'c', reply: '450 busy' })
})

test('what earlier releases wrote is the holder or the reply', () => {
  expect(reasonFrom('jane', true)).toEqual({ holder: 'jane', cause: '', reply: '' })
  expect(reasonFrom('450 busy', false)).toEqual({ holder: '', cause: '', reply: '450 busy' })
})

test('a reply with the separators in it cannot pretend to be a holder', () => {
  expect(reasonFrom(reasonText({ reply: 'evil\x1ecause\x1f450' }), false)).toEqual({
    holder: '',
    cause: '',
    reply: 'evil cause 450',
  })
})
