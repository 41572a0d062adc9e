import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { builtAssets, requireBuilt } from './assets.ts'
import { bundle } from './bundle.ts'

/** Inside the repository, so that its imports find the packages. `dist` holds no sources. */
const dist = fileURLToPath(new URL('dist/', import.meta.url))
let directory: string

beforeAll(() => {
  mkdirSync(dist, { recursive: true })
  directory = mkdtempSync(join(dist, 'test-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const entry = (name: string, text: string) => {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

test('a function with a database client and argon2 is bundled and answers from another directory', async () => {
  const api = entry(
    'lambda.ts',
    `import { hash, verify } from '@node-rs/argon2'
     import { createClient } from '@libsql/client'
     const key: string = process.env.POSTERN_DATA_KEY ?? 'not loaded before the API'
     export async function handler(event: { requestContext: { http: { sourceIp: string } } }) {
       let file = 'opened'
       try { createClient({ url: 'file:/tmp/never.db' }) } catch (error) { file = (error as { code: string }).code }
       const { protocol } = createClient({ url: 'libsql://example.org' })
       return { key, file, protocol, verified: await verify(await hash('x'), 'x'), from: event.requestContext.http.sourceIp }
     }`,
  )
  const outdir = mkdtempSync(join(tmpdir(), 'postern-bundle-'))
  try {
    await bundle({ api, outdir })
    expect(await invoke(outdir)).toEqual({
      key: 'secret of arn:master',
      // The bundle has only the HTTP client, which refuses a file, and no native libSQL.
      file: 'URL_SCHEME_NOT_SUPPORTED',
      protocol: 'http',
      verified: true,
      from: '203.0.113.9',
    })
    expect(existsSync(join(outdir, 'node_modules/libsql'))).toBe(false)
  } finally {
    rmSync(outdir, { recursive: true, force: true })
  }
}, 60_000)

/** Runs the bundle as Lambda does: in its own directory, by the exported name, with a Secrets Manager on loopback. */
async function invoke(outdir: string): Promise<unknown> {
  const secrets = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part) => parts.push(part))
    request.on('end', () => {
      const { SecretId } = JSON.parse(Buffer.concat(parts).toString())
      response.setHeader('content-type', 'application/x-amz-json-1.1')
      response.end(JSON.stringify({ SecretString: SecretId === 'arn:edge' ? 'edge' : `secret of ${SecretId}` }))
    })
  })
  await new Promise<void>((resolve) => secrets.listen(0, '127.0.0.1', resolve))
  const { port } = secrets.address() as { port: number }
  const event = {
    headers: { 'x-postern-edge': 'edge', 'x-postern-visitor': '203.0.113.9' },
    requestContext: { http: { sourceIp: '192.0.2.1' } },
  }
  const script = `const { handler } = await import('./index.mjs'); console.log(JSON.stringify(await handler(${JSON.stringify(event)}, {})))`
  try {
    return JSON.parse(
      await run(script, outdir, {
        POSTERN_SECRETS: '{"POSTERN_DATA_KEY":"arn:master","POSTERN_EDGE_TOKEN":"arn:edge"}',
        AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${port}`,
        AWS_REGION: 'eu-west-1',
        AWS_ACCESS_KEY_ID: 'test',
        AWS_SECRET_ACCESS_KEY: 'test',
      }),
    )
  } finally {
    secrets.close()
    secrets.closeAllConnections()
  }
}

function run(script: string, cwd: string, env: Record<string, string>): Promise<string> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd, env, timeout: 30_000 })
  let output = ''
  let errors = ''
  child.stdout.on('data', (text) => (output += text))
  child.stderr.on('data', (text) => (errors += text))
  return new Promise((resolve, reject) => {
    child.on('close', (code) => (code === 0 ? resolve(output) : reject(new Error(errors))))
  })
}

test('refuses an entry that imports the embedded system, naming the import', async () => {
  const api = entry('embedded.ts', `export { buildApp as handler } from 'fauxqs'`)
  await expect(bundle({ api, outdir: join(directory, 'out') })).rejects.toThrow(
    /must not contain .*node_modules\/fauxqs\//,
  )
}, 60_000)

test('names a missing entry', async () => {
  await expect(bundle({ api: '/nowhere/lambda.ts', outdir: join(directory, 'none') })).rejects.toThrow(
    '/nowhere/lambda.ts is missing',
  )
})

test('a synth without the built assets names the command to run', () => {
  const nothing = join(directory, 'nothing')
  expect(() => requireBuilt({ ...builtAssets, api: nothing, console: nothing })).toThrow(
    /index\.mjs is missing: the API function is not built; run: npm run bundle -w infra\n.*\n.*npm run build -w @postern\/console/,
  )
  expect(dirname(builtAssets.api)).toBe(dist.replace(/\/$/, ''))
})
