import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** Tests that the guards of this checkout refuse violations, each in a separate checkout with the same rules. */

const root = new URL('..', import.meta.url).pathname
const run = promisify(execFile)
const bin = (name: string) => join(root, 'node_modules/.bin', name)
let checkout: string

const { forbidden } = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as { forbidden: { name: string }[] }

/** File contents that break a rule, by rule. */
const planted: Record<string, Record<string, string>> = {
  'arrows-of-db-contract': { 'db/contract/a.ts': "import '../../workers/policy/ours.ts'" },
  'arrows-of-db-store': { 'db/store/b.ts': "import '../../workers/policy/ours.ts'" },
  'arrows-of-db-objects': { 'db/objects/a.ts': "import '../store/ours.ts'" },
  'arrows-of-db-log': { 'db/log/a.ts': "import '../store/ours.ts'" },
  'arrows-of-workers-policy': { 'workers/policy/a.ts': "import '../../db/store/ours.ts'" },
  'arrows-of-workers-net': { 'workers/net/a.ts': "import '../queue/ours.ts'" },
  'arrows-of-workers-runtime': { 'workers/runtime/c.ts': "import '../policy/ours.ts'" },
  'arrows-of-workers-spool': { 'workers/spool/c.ts': "import '../queue/ours.ts'" },
  'arrows-of-workers-mailauth': { 'workers/mailauth/a.ts': "import '../policy/ours.ts'" },
  'arrows-of-workers-smtp': { 'workers/smtp/a.ts': "import '../queue/ours.ts'" },
  'arrows-of-workers-queue': { 'workers/queue/a.ts': "import '../smtp/ours.ts'" },
  'arrows-of-infra': { 'infra/a.ts': "import '../apps/api/ours.ts'" },
  'arrows-of-test': { 'test/a.ts': "import '../apps/console/ours.ts'" },
  'arrows-of-apps-api': { 'apps/api/a.ts': "import '../../test/ours.ts'" },
  'arrows-of-apps-console': { 'apps/console/a.ts': "import '../../db/store/ours.ts'" },
  'arrows-of-apps-cli': { 'apps/cli/a.ts': "import '../../workers/policy/ours.ts'" },
  'rooms-of-queue-message': { 'workers/queue/message/a.ts': "import '../index/ours.ts'" },
  'rooms-of-queue-client': { 'workers/queue/client/a.ts': "import '../route/ours.ts'" },
  'rooms-of-queue-route': { 'workers/queue/route/a.ts': "import type {} from '../delivery/ours.ts'" },
  'rooms-of-queue-assure': { 'workers/queue/assure/a.ts': "import '../route/ours.ts'" },
  'rooms-of-queue-dsn': { 'workers/queue/dsn/a.ts': "import '../index/ours.ts'" },
  'rooms-of-queue-form': { 'workers/queue/form/a.ts': "import '../delivery/ours.ts'" },
  'rooms-of-queue-index': { 'workers/queue/index/a.ts': "import '../scheduling/ours.ts'" },
  'rooms-of-queue-delivery': { 'workers/queue/delivery/a.ts': "import '../scheduling/ours.ts'" },
  'rooms-of-queue-mirror': { 'workers/queue/mirror/a.ts': "import '../delivery/ours.ts'" },
  'rooms-of-queue-scheduling': { 'workers/queue/scheduling/a.ts': "import '../ours.ts'" },
  'rooms-of-smtp-auth': { 'workers/smtp/auth/a.ts': "import '../session/ours.ts'" },
  'rooms-of-smtp-listen': { 'workers/smtp/listen/a.ts': "import '../session/ours.ts'" },
  'rooms-of-smtp-lookups': { 'workers/smtp/lookups/a.ts': "import '../message/ours.ts'" },
  'rooms-of-smtp-record': { 'workers/smtp/record/a.ts': "import '../ours.ts'" },
  'rooms-of-smtp-message': { 'workers/smtp/message/a.ts': "import type {} from '../commands/ours.ts'" },
  'rooms-of-smtp-commands': { 'workers/smtp/commands/a.ts': "import '../session/ours.ts'" },
  'rooms-of-smtp-session': { 'workers/smtp/session/a.ts': "import '../auth/ours.ts'" },
  'pure-rooms-do-no-io': { 'db/contract/b.ts': "import 'node:fs'" },
  'packages-of-db-contract': { 'db/contract/c.ts': "import 'lru-cache'" },
  'packages-of-db-contract-tests': { 'db/contract/c.test.ts': "import 'undici'" },
  'packages-of-workers-policy': { 'workers/policy/c.ts': "import 'lru-cache'" },
  'packages-of-workers-policy-tests': { 'workers/policy/c.test.ts': "import 'undici'" },
  'api-keeps-to-web-standards': { 'apps/api/b.ts': "import 'node:fs'" },
  'no-circle': { 'workers/spool/a.ts': "import './b.ts'", 'workers/spool/b.ts': "import './a.ts'" },
  'no-orphan-dependency': { 'db/store/a.ts': "import 'no-such-package'" },
}
/** A second violation of a rule, if one does not cover it. */
const circleOfTypes = {
  'workers/queue/delivery/c.ts': "import type { B } from './d.ts'\nexport type A = B",
  'workers/queue/delivery/d.ts': "import type { A } from './c.ts'\nexport type B = A | 1",
}
const inside = (worker: string, names: string[]) => [worker, ...names.map((name) => `${worker}/${name}`)]
const rooms = [
  ...['db/store', 'workers/policy', 'apps/api', 'apps/console', 'test'],
  ...inside('workers/queue', ['index', 'route', 'delivery', 'scheduling']),
  ...inside('workers/smtp', ['auth', 'commands', 'message', 'session']),
]

const impure = [
  'Date.now()',
  'new Date()',
  'new Date',
  'Date()',
  '[1].map(Date.now)',
  "Date['now']()",
  'globalThis.Date.now()',
  'Math.random()',
  "Math['random']()",
  'crypto.randomUUID()',
  'performance.now()',
  'setTimeout(() => {}, 1)',
  'process.env',
  "fetch('http://127.0.0.1/')",
]
const pure = ['new Date(0)', "Date.parse('2026-11-30')", 'Math.max(1, 2)', 'Date.UTC(2026)']

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(checkout, path)), { recursive: true })
  await writeFile(join(checkout, path), `${text}\n`)
}

beforeAll(async () => {
  checkout = await mkdtemp(join(tmpdir(), 'postern-guards-'))
  for (const name of ['.biome.json', '.pure-rooms.grit', '.dialect.grit', '.dependency-cruiser.cjs'])
    await cp(join(root, name), join(checkout, name))
  await symlink(join(root, 'node_modules'), join(checkout, 'node_modules'))
  for (const room of rooms) await put(`${room}/ours.ts`, 'export {}')
})
afterAll(() => rm(checkout, { recursive: true, force: true }))

const outputOf = (command: string, args: string[]) =>
  run(command, args, { cwd: checkout, maxBuffer: 64 << 20 }).then(
    ({ stdout }) => stdout,
    ({ stdout }: { stdout: string }) => stdout,
  )

test('every rule of dependency-cruiser has a violation here', () => {
  expect(Object.keys(planted).sort()).toEqual(forbidden.map(({ name }) => name).sort())
})

test('every rule of dependency-cruiser refuses its violation', async () => {
  for (const files of [...Object.values(planted), circleOfTypes])
    for (const [path, text] of Object.entries(files)) await put(path, text)
  const args = [
    '--config',
    '.dependency-cruiser.cjs',
    '--output-type',
    'json',
    'apps',
    'workers',
    'db',
    'infra',
    'test',
  ]
  const { summary } = JSON.parse(await outputOf(bin('depcruise'), args)) as {
    summary: { violations: { from: string; rule: { name: string } }[] }
  }
  const refused = new Set(summary.violations.map(({ from, rule }) => `${rule.name}: ${from}`))
  for (const [name, files] of Object.entries(planted)) expect(refused).toContain(`${name}: ${Object.keys(files)[0]}`)
  expect(refused).toContain('no-circle: workers/queue/delivery/c.ts')
  expect([...refused].filter((line) => line.includes('ours.ts'))).toEqual([])
})

/** Style rules, by the biome rule that enforces them: code that breaks the rule, and code that does not. */
const dialect: Record<string, { path: string; breaks: string[]; keeps: string[] }> = {
  plugin: {
    path: 'workers/spool/dialect',
    breaks: [
      'export class A { private x = 1 }',
      'export class A { private static async x(): Promise<void> {} }',
      'export class A { private get x(): number { return 1 } }',
      'export class A { private set x(value: number) {} }',
      'export interface A extends Error { private: 1 }',
    ],
    keeps: [
      'export class A { #x = 1; private constructor() { this.#x++ } }',
      'export class A { protected x = 1 }',
      'export type A = Error & { private: 1 }',
    ],
  },
  useConsistentTypeDefinitions: {
    path: 'test/dialect',
    breaks: ['export interface A { x: 1 }'],
    keeps: ['export type A = { x: 1 }'],
  },
  noDefaultExport: { path: 'apps/console/dialect', breaks: ['export default 1'], keeps: ['export const a = 1'] },
}
const names = {
  breaks: ['workers/queue/someName.ts', 'workers/queue/SomeName.ts', 'test/some_name.ts', 'apps/console/someName.tsx'],
  keeps: ['workers/queue/some-name.test.ts', 'apps/console/SomeName.tsx', 'apps/console/some-name.tsx'],
}

async function lint(folders: string[]): Promise<{ category: string; path: string }[]> {
  const args = ['lint', '--vcs-enabled=false', '--reporter=json', '--max-diagnostics=none', ...folders]
  const { diagnostics } = JSON.parse(await outputOf(bin('biome'), args)) as {
    diagnostics: { category: string; location: { path: unknown } }[]
  }
  return diagnostics.map(({ category, location }) => ({
    category: category.split('/').at(-1) ?? '',
    path: /[\w/.-]*\.tsx?/.exec(JSON.stringify(location.path))?.[0] ?? '',
  }))
}

test('the linter enforces the style: #private, type, named exports, kebab-case files', async () => {
  const expected: string[] = []
  for (const [rule, { path, breaks, keeps }] of Object.entries(dialect))
    for (const [i, text] of [...breaks, ...keeps].entries()) {
      await put(`${path}/${i}.ts`, text)
      if (i < breaks.length) expected.push(`${rule} ${path}/${i}.ts`)
    }
  for (const path of [...names.breaks, ...names.keeps]) await put(path, 'export const a = 1')
  for (const path of names.breaks) expected.push(`useFilenamingConvention ${path}`)
  const rules = [...Object.keys(dialect), 'useFilenamingConvention']
  const found = (await lint(['workers/queue', 'workers/spool', 'test', 'apps/console'])).filter(({ category }) =>
    rules.includes(category),
  )
  expect([...new Set(found.map(({ category, path }) => `${category} ${path}`))].sort()).toEqual(expected.sort())
})

test('a pure room has no clock, no randomness and no I/O by a global name; other rooms may', async () => {
  const expressions = [...impure, ...pure]
  const folders = ['db/contract', 'workers/policy/rules', 'workers/queue']
  for (const folder of folders)
    for (const [i, expression] of expressions.entries())
      await put(`${folder}/said-${i}.ts`, `export const said = ${expression}`)
  const refused = (await lint(folders))
    .filter(({ category }) => /plugin|noRestrictedGlobals/.test(category))
    .map(({ path }) => path.replace('.ts', ''))
  const expected = folders.slice(0, 2).flatMap((folder) => impure.map((_, i) => `${folder}/said-${i}`))
  expect([...new Set(refused)].sort()).toEqual(expected.sort())
})
