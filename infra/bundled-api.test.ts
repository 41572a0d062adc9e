import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundle, bytesIn, lambdaBytes } from './bundle.ts'

/** The API as it is deployed: bundled, in a directory without the repository, with a libSQL server and its log in a directory. */

const directory = mkdtempSync(join(tmpdir(), 'postern-function-'))
const outdir = join(directory, 'task')
let database: { url: string; close(): Promise<void> }

beforeAll(async () => {
  await bundle({ api: fileURLToPath(new URL('../apps/api/lambda.ts', import.meta.url)), outdir })
  // By path: this room may not import the databases.
  const { startHranaServer } = await import(new URL('../db/store/test/hrana.ts', import.meta.url).href)
  database = await startHranaServer(join(directory, 'server.db'), 'database token')
}, 120_000)
afterAll(async () => {
  await database?.close()
  rmSync(directory, { recursive: true, force: true })
})

test('has room within what Lambda accepts', () => {
  const [whole, duckdb] = [bytesIn(outdir), bytesIn(join(outdir, 'node_modules/@duckdb'))]
  const mb = (bytes: number) => (bytes / 1e6).toFixed(1)
  console.log(`the bundle has ${mb(whole)} MB, of which DuckDB ${mb(duckdb)} MB; Lambda accepts ${mb(lambdaBytes)} MB`)
  expect(duckdb).toBeGreaterThan(10e6)
  expect(whole).toBeLessThan(lambdaBytes / 2)
})

test('stores events without DuckDB, searches with it, and compacts', async () => {
  const log = join(directory, 'log')
  const output = await run({
    POSTERN_SECRETS: '{}',
    POSTERN_DATABASE_URL: database.url,
    POSTERN_DATABASE_AUTH_TOKEN: 'database token',
    POSTERN_DATA_KEY: btoa('0123456789abcdef0123456789abcdef'),
    POSTERN_ADMIN_EMAIL: 'owner@example.org',
    POSTERN_ADMIN_PASSWORD: 'correct horse',
    POSTERN_QUEUE_ENROL_TOKEN: 'the long token of queue',
    POSTERN_LOG_LEVEL: 'silent',
    POSTERN_LOG: log,
    AWS_REGION: 'eu-west-1',
  })
  const { result, figures } = JSON.parse(output.trim().split('\n').at(-1) ?? '')
  console.log(figures)
  expect(result).toMatchObject({
    acknowledged: 2,
    loadedBefore: false,
    found: [2, 1],
    loadedAfter: true,
    foundCompacted: [2, 1],
  })
  const [day, hh] = [result.hour.slice(0, 10), result.hour.slice(11, 13)]
  expect(existsSync(join(log, `log/${day}/parquet/${hh}.parquet`))).toBe(true)
  expect(existsSync(join(log, `log/${day}/${hh}`))).toBe(false)
}, 120_000)

function run(env: Record<string, string>): Promise<string> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('test/use-bundle.ts', import.meta.url))], {
    cwd: outdir,
    env,
  })
  let output = ''
  let errors = ''
  child.stdout.on('data', (data) => (output += data))
  child.stderr.on('data', (data) => (errors += data))
  return new Promise((resolve, reject) => {
    child.on('close', (code) => (code === 0 ? resolve(output) : reject(new Error(errors + output))))
  })
}
