import { expect, test } from 'vitest'
import { visible } from './visible-text.ts'

test('control characters and direction marks are shown, not obeyed', () => {
  expect(visible('a\x1b[31mred\x07\x00\x7f')).toBe('a␛[31mred␇␀␡')
  expect(visible('evil\u202egpj.exe')).toBe('evil⟨U+202E⟩gpj.exe')
  expect(visible('a\u200bb\u0085')).toBe('a⟨U+200B⟩b⟨U+0085⟩')
})

test('lines, tabs and letters stay as they are', () => {
  const text = 'Grüße\tи\nשלום 👋'
  expect(visible(text)).toBe(text)
})
