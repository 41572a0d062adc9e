import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { healthCommand } from './workers.ts'

/** Docker cannot run where the tests run, so these check the text of the Dockerfile. */
const root = new URL('../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')
const lines = read('infra/Dockerfile').split('\n')
const stages = lines.filter((line) => line.startsWith('FROM '))
const final = lines.slice(lines.lastIndexOf(stages.at(-1) ?? ''))

/** The workspaces that the two workers need, themselves included. */
function needed(name: string, found = new Set<string>()): Set<string> {
  if (found.has(name)) return found
  found.add(name)
  const { dependencies } = JSON.parse(read(`${folder(name)}/package.json`)) as { dependencies?: Record<string, string> }
  for (const other of Object.keys(dependencies ?? {})) {
    if (other.startsWith('@postern/')) needed(other.slice('@postern/'.length), found)
  }
  return found
}
const folder = (name: string) => (name === 'contract' || name === 'store' ? `db/${name}` : `workers/${name}`)

test('both stages use the official Node 24 image, in one exact version', () => {
  expect(stages).toHaveLength(2)
  for (const stage of stages) expect(stage).toMatch(/^FROM node:24\.\d+\.\d+-bookworm-slim( AS packages)?$/)
  expect(new Set(stages.map((stage) => stage.split(' ')[1])).size).toBe(1)
})

test('nothing runs as root, and nothing is written after the user changes', () => {
  const user = final.indexOf('USER node')
  expect(user).toBeGreaterThan(0)
  expect(final.slice(user + 1).filter((line) => /^(USER|RUN|COPY|ADD)\b/.test(line))).toEqual([])
  expect(final.filter((line) => /--chown/.test(line))).toEqual([])
})

test('installs the packages of every workspace that a worker needs, and copies its source', () => {
  const workspaces = [...needed('queue', needed('smtp'))].map(folder).sort()
  const installed = lines.flatMap((line) => line.match(/^COPY (\S+)\/package\.json /)?.[1] ?? []).sort()
  expect(installed).toEqual(workspaces)
  const copied = final.flatMap((line) => line.match(/^COPY (?!--from)(\S+) /)?.[1] ?? [])
  for (const workspace of workspaces)
    expect(
      copied.some((path) => workspace.startsWith(path)),
      workspace,
    ).toBe(true)
})

test('has no package of the log’s search: workers only ship events', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Locked> }
  const names = [...needed('queue', needed('smtp'))].flatMap((name) => [...installed(packages, folder(name))])
  expect(names).toContain('zod')
  expect(names.filter((name) => name.startsWith('@duckdb/'))).toEqual([])
  expect([...installed(packages, 'db/log')]).toContain('@duckdb/node-bindings-linux-x64')
})

type Locked = { dependencies?: Record<string, string>; optionalDependencies?: Record<string, string> }

/** The names of all packages that npm installs for a workspace. */
function installed(packages: Record<string, Locked>, path: string, found = new Set<string>()): Set<string> {
  const { dependencies, optionalDependencies } = packages[path] ?? {}
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    if (found.has(name)) continue
    found.add(name)
    const nested = `${path}/node_modules/${name}`
    installed(packages, nested in packages ? nested : `node_modules/${name}`, found)
  }
  return found
}

test('has the same health check as ECS', () => {
  const command = lines.find((line) => /^\s+CMD \[/.test(line))?.replace(/^\s+CMD /, '')
  expect(['CMD', ...JSON.parse(command ?? '[]')]).toEqual(healthCommand)
})

test('contains no secret', () => {
  expect(lines.filter((line) => /^(ENV|ARG)\b.*(TOKEN|PASSWORD|SECRET|KEY)/.test(line))).toEqual([])
})
