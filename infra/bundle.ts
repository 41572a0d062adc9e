import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Metafile, type Plugin } from 'esbuild'

/**
 * Bundles the API function into `dist/api`, or the directory that is the argument: `index.mjs` (entry.ts), `api.mjs` (apps/api/lambda.ts), what they share, and the native
 * packages, which cannot be bundled. The function runs on x86_64 with glibc, because those are the binaries that `npm
 * ci` installs in CI. The deployed code is therefore what CI has tested.
 */
const here = dirname(fileURLToPath(import.meta.url))

/**
 * The function's packages with a native binding, the binding itself, and what they import. DuckDB (70 MB) is loaded by the
 * first search: a function that only stores events never reads it.
 */
const native = [
  '@node-rs/argon2',
  '@node-rs/argon2-linux-x64-gnu',
  '@duckdb/node-api',
  '@duckdb/node-bindings',
  '@duckdb/node-bindings-linux-x64',
  'detect-libc',
]

/** What Lambda accepts: 250 MB, unpacked. */
export const lambdaBytes = 250 * 1024 * 1024

/** Parts of the embedded system. If one is in the function, lambda.ts imports from the process's entry point. */
const embeddedOnly = /node_modules\/(fauxqs|better-sqlite3|libsql|@hono\/node-server)\//

/** Lambda has no database file and so needs no native libSQL. The HTTP client has the same `createClient`. */
const libsqlOverHttp: Plugin = {
  name: 'libsql-over-http',
  setup(builder) {
    builder.onResolve({ filter: /^@libsql\/client(\/node|\/sqlite3)?$/ }, ({ resolveDir, kind }) =>
      builder.resolve('@libsql/client/http', { resolveDir, kind }),
    )
  },
}

export type Sources = { api: string; outdir: string }

/**
 * Writes the bundle. Throws an Error that names the cause if the API's entry is missing or imports an embedded part, or if
 * Lambda would refuse the bundle for its size.
 */
export async function bundle({ api, outdir }: Sources): Promise<void> {
  if (!existsSync(api)) throw new Error(`${api} is missing: the API function has no entry (it must export \`handler\`)`)
  rmSync(outdir, { recursive: true, force: true })
  const { metafile } = await build({
    entryPoints: { index: join(here, 'function/entry.ts'), api },
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    external: native,
    plugins: [libsqlOverHttp],
    // CommonJS packages inside an ES module still call require().
    banner: {
      js: "import { createRequire as requireOf } from 'node:module';const require = requireOf(import.meta.url);",
    },
    // What both entries use is loaded once, and what is imported only when needed is not parsed before.
    splitting: true,
    // Without the licences' letters the files are ASCII, which Node decodes faster.
    legalComments: 'external',
    sourcemap: 'linked',
    sourcesContent: false,
    metafile: true,
    logLevel: 'warning',
  })
  refuseEmbedded(metafile)
  copyNative(join(outdir, 'node_modules'))
  const bytes = bytesIn(outdir)
  if (bytes > lambdaBytes)
    throw new Error(`the bundle of the API function has ${bytes} bytes; Lambda accepts at most ${lambdaBytes}`)
}

/** The size of all files below a directory. */
export function bytesIn(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
}

function refuseEmbedded(metafile: Metafile): void {
  const found = Object.keys(metafile.inputs).find((input) => embeddedOnly.test(input))
  if (found)
    throw new Error(
      `the API function must not contain ${found}. Import it from main.ts, not from a module that lambda.ts imports`,
    )
}

function copyNative(modules: string): void {
  for (const name of native) {
    const description = join(here, '../node_modules', name, 'package.json')
    if (!existsSync(description)) throw new Error(`${name} is not installed: run npm ci on linux x64`)
    mkdirSync(join(modules, name), { recursive: true })
    cpSync(dirname(description), join(modules, name), { recursive: true })
  }
}

if (import.meta.main) {
  const outdir = resolve(process.argv[2] ?? join(here, 'dist/api'))
  await bundle({ api: join(here, '../apps/api/lambda.ts'), outdir })
  console.log(`${outdir}: ${(bytesIn(outdir) / 1e6).toFixed(1)} MB; Lambda accepts ${lambdaBytes / 1e6} MB`)
}
