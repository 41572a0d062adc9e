import { expect, test } from 'vitest'
import { visibleText } from './visible-text.ts'

test('control characters and direction marks are shown, not obeyed', () => {
  expect(visibleText('a\x1b[31mred\x07\x00\x7f')).toBe('a␛[31mred␇␀␡')
  expect(visibleText('evil\u202egpj.exe')).toBe('evil⟨U+202E⟩gpj.exe')
  expect(visibleText('a\u200bb\u0085')).toBe('a⟨U+200B⟩b⟨U+0085⟩')
})

test('lines, tabs and letters stay as they are', () => {
  const text = 'Grüße\tи\nשלום 👋'
  expect(visibleText(text)).toBe(text)
})
