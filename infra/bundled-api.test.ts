import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { json } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundle, bytesIn, lambdaBytes } from './bundle.ts'

/** The API as it is deployed: bundled, in a directory without the repository, with a libSQL server and its log in a directory. */

const directory = mkdtempSync(join(tmpdir(), 'postern-function-'))
const outdir = join(directory, 'task')
const log = join(directory, 'log')
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

test('is brought up to date by the step of a deployment', async () => {
  const { startHranaServer } = await import(new URL('../db/store/test/hrana.ts', import.meta.url).href)
  const empty = await startHranaServer(join(directory, 'empty.db'), 'database token')
  const answers: unknown[] = []
  const cloudFormation = createServer(async (request, response) => {
    answers.push(await json(request))
    response.end()
  })
  await new Promise<void>((resolve) => cloudFormation.listen(0, '127.0.0.1', resolve))
  const { port } = cloudFormation.address() as { port: number }
  const event = {
    RequestType: 'Create',
    ResponseURL: `http://127.0.0.1:${port}/`,
    StackId: 'stack',
    RequestId: '1',
    LogicalResourceId: 'Migrations',
  }
  const script = `const { migrate } = await import('./index.mjs'); await migrate(${JSON.stringify(event)}); process.exit(0)`
  try {
    await run({ ...environment(), POSTERN_DATABASE_URL: empty.url }, ['--input-type=module', '-e', script])
    await run({ ...environment(), POSTERN_DATABASE_URL: empty.url, POSTERN_DATABASE_AUTH_TOKEN: 'wrong' }, [
      '--input-type=module',
      '-e',
      script,
    ])
    const [first, second] = answers
    expect(first).toMatchObject({ Status: 'SUCCESS', PhysicalResourceId: 'migrations' })
    expect(second).toMatchObject({ Status: 'FAILED', Reason: expect.stringContaining('LibsqlError') })
  } finally {
    cloudFormation.close()
    await empty.close()
  }
  const tables = new DatabaseSync(join(directory, 'empty.db'))
  const { n } = tables.prepare('select count(*) as n from users').get() as { n: number }
  tables.close()
  expect(n).toBe(1)
}, 120_000)

test('stores events without DuckDB, searches with it, and compacts', async () => {
  const output = await run(environment(), [fileURLToPath(new URL('test/use-bundle.ts', import.meta.url))])
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

const environment = () => ({
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

function run(env: Record<string, string>, args: string[]): Promise<string> {
  const child = spawn(process.execPath, args, { cwd: outdir, env })
  let output = ''
  let errors = ''
  child.stdout.on('data', (data) => (output += data))
  child.stderr.on('data', (data) => (errors += data))
  return new Promise((resolve, reject) => {
    child.on('close', (code) => (code === 0 ? resolve(output) : reject(new Error(errors + output))))
  })
}
