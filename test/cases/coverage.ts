import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { listNames } from '@postern/contract/lists.ts'
import { settingGroupNames, settingGroups } from '@postern/contract/settings.ts'
import { casesOnDisk } from './case.ts'
import { casesOfTheOrder } from './order.ts'

/** For each key of the contract, and each list and kind of the directory: the cases and tests that prove it. */

const directoryKinds = ['domain', 'account', 'alias', 'group', 'certificate', 'dkim-key'] as const

export const keys: string[] = [
  ...settingGroupNames.flatMap((group) =>
    Object.keys(settingGroups[group].schema.shape).map((key) => `${group}.${key}`),
  ),
  ...listNames.map((list) => `list:${list}`),
  ...directoryKinds.map((kind) => `directory:${kind}`),
]

const root = join(import.meta.dirname, '../..')
const rooms = ['test', 'workers', 'apps']
const tag =
  /\[((?:[a-z]+\.[a-zA-Z]+|list:[a-z-]+|directory:[a-z-]+)(?:, ?(?:[a-z]+\.[a-zA-Z]+|list:[a-z-]+|directory:[a-z-]+))*)\]/g

/**
 * Returns the places that prove each key: a case that names it in `proves`, or any test with the key in brackets in a
 * title or comment: `[security.checkHelo]`.
 */
export function proofs(): Map<string, string[]> {
  const found = new Map(keys.map((key) => [key, [] as string[]]))
  const note = (key: string, where: string) => {
    const places = found.get(key)
    if (!places) throw new Error(`${where} proves ${key}, which is no key of the contract`)
    if (!places.includes(where)) places.push(where)
  }
  for (const one of [...casesOnDisk(), ...casesOfTheOrder()])
    for (const key of one.proves) note(key, `case ${one.number}`)
  for (const file of rooms.flatMap((room) => testFiles(join(root, room))))
    for (const [, named = ''] of readFileSync(file, 'utf8').matchAll(tag))
      for (const key of named.split(/, ?/)) if (found.has(key)) note(key, relative(root, file))
  return found
}

function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return ['node_modules', 'dist', 'cases'].includes(entry.name) ? [] : testFiles(path)
    return entry.name.endsWith('.test.ts') ? [path] : []
  })
}
