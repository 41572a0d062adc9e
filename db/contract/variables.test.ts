import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { handedOnTo, variables, variablesTable } from './variables.ts'

const root = new URL('../../', import.meta.url)

test('README has the table of variables as it is here', () => {
  expect(readFileSync(new URL('README.md', root), 'utf8')).toContain(variablesTable())
})

test('every variable that a file names is a row, and every row is named by the code', () => {
  const args = [
    'grep',
    '-hoE',
    'POSTERN_[A-Z0-9_]+',
    '--',
    'apps',
    'workers',
    'infra',
    'db',
    ':!*.test.ts',
    ':!db/contract/variables.ts',
  ]
  const named = execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim().split('\n')
  // It has one value yet, so it is checked in the table and read by nobody.
  named.push('POSTERN_SPOOL')
  expect([...new Set(named)].sort()).toEqual(Object.keys(variables).sort())
})

test('a worker is handed what it reads, and no value that is another worker’s own', () => {
  expect(handedOnTo('queue')).toEqual(
    expect.arrayContaining(['POSTERN_FACTS', 'POSTERN_OUTBOUND_PORT', 'POSTERN_SYSLOG']),
  )
  expect(handedOnTo('smtp')).not.toEqual(expect.arrayContaining(['POSTERN_OUTBOUND_PORT']))
  for (const service of ['smtp', 'queue'] as const)
    for (const name of [
      'POSTERN_HEALTH_PORT',
      'POSTERN_ADMIN_PASSWORD',
      'POSTERN_DATABASE_AUTH_TOKEN',
      'POSTERN_DATA_KEY',
    ])
      expect(handedOnTo(service)).not.toContain(name)
})
