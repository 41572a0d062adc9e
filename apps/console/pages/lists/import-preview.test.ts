import { listNames } from '@postern/contract/lists.ts'
import { expect, test } from 'vitest'
import { expiryTime } from './expiry.ts'
import { formatOf, previewOf, withoutLines } from './import-preview.ts'

test('bad lines are named by number and text; comments and empty lines pass', () => {
  const preview = previewOf('kill', '# old ones\nspam@example.com\n\nnonsense\n@*bad.example')
  expect(preview).toMatchObject({ lines: 3, checked: true })
  expect(preview.bad).toMatchObject([{ line: 4, text: 'nonsense' }])
  expect(preview.bad[0]?.message).toContain('@*suffix')
})
test.each(listNames)('%s: a bad line names its value and what is allowed, as the API does', (list) => {
  const { bad } = previewOf(list, `# first\nno such value!`)
  expect(bad).toHaveLength(1)
  expect(bad[0]).toMatchObject({ line: 2, text: 'no such value!' })
  expect(bad[0]?.message).toContain('"no such value!"')
  expect(bad[0]?.message).toMatch(/must be|allowed: /)
  expect(bad[0]?.message).not.toMatch(/^Invalid|expected|received/)
})
test('bad lines can be left out', () => {
  expect(withoutLines('a\nb\nc', [{ line: 2 }])).toBe('a\nc')
})
test('a head line with value makes it CSV', () => {
  expect([formatOf('value,action\n1.2.3.4,deny'), formatOf('1.2.3.4\n'), formatOf('value')]).toEqual([
    'csv',
    'text',
    'text',
  ])
  expect([formatOf('\ufeffvalue;action\r\n1.2.3.4;deny'), formatOf('"value";"comment"')]).toEqual(['csv', 'csv'])
})
test('expiry', () => {
  expect(expiryTime({ expiry: 'hour', until: '' }, 0)).toEqual({ expiresAt: '1970-01-01T01:00:00.000Z' })
  expect(expiryTime({ expiry: 'never', until: '' }, 0)).toEqual({})
  expect(expiryTime({ expiry: 'date', until: 'soon' }, 0)).toEqual({ expiresAt: 'soon' })
})
