import { expect, test } from 'vitest'
import { renamed, viewsIn, withView } from './saved-views.ts'

const view = (name: string, q = 'x') => ({ name, search: { q } })

test('what is stored is a list of views, or nothing', () => {
  expect(viewsIn(JSON.stringify([view('a'), { name: 1 }, null, { name: 'b', search: { q: 7 } }]))).toEqual([view('a')])
  for (const stored of [null, '', '{', '7', 'null']) expect(viewsIn(stored)).toEqual([])
})

test('one view a name', () => {
  expect(withView([view('a'), view('b')], view('a', 'y'))).toEqual([view('a', 'y'), view('b')])
  expect(withView([], view('a'))).toEqual([view('a')])
})

test('a view gets another name, unless it is empty or taken', () => {
  expect(renamed([view('a')], 'a', ' b ')).toEqual([view('b')])
  expect(renamed([view('a'), view('b')], 'a', 'b')).toEqual([view('a'), view('b')])
  expect(renamed([view('a')], 'a', ' ')).toEqual([view('a')])
})
