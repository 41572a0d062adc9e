import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Metafile, type Plugin } from 'esbuild'

/**
 * Bundles the API function into `dist/api`: `index.mjs` (entry.ts), `api.mjs` (apps/api/lambda.ts) and the native packages, which
 * no bundler can swallow. The function runs on x86_64 with glibc because those are the binaries `npm ci` installs where this
 * project is tested: what CI has run is what is deployed.
 */
const here = dirname(fileURLToPath(import.meta.url))

/** Packages with a native binding that the function needs, and the binding. */
const native = ['@node-rs/argon2', '@node-rs/argon2-linux-x64-gnu']

/** What belongs to the embedded system; in the function it would mean that lambda.ts reaches into the process's entry. */
const embeddedOnly = /node_modules\/(fauxqs|better-sqlite3|libsql|@hono\/node-server)\//

/** On Lambda there is no database file, so no native libSQL: the HTTP client has the same `createClient`. */
const libsqlOverHttp: Plugin = {
  name: 'libsql-over-http',
  setup(builder) {
    builder.onResolve({ filter: /^@libsql\/client(\/node|\/sqlite3)?$/ }, ({ resolveDir, kind }) =>
      builder.resolve('@libsql/client/http', { resolveDir, kind }),
    )
  },
}

export type Sources = { api: string; outdir: string }

/** Writes the bundle. Throws an Error that names the cause when the API's entry is missing or pulls in an embedded part. */
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
    sourcemap: 'linked',
    sourcesContent: false,
    metafile: true,
    logLevel: 'warning',
  })
  refuseEmbedded(metafile)
  copyNative(join(outdir, 'node_modules'))
}

function refuseEmbedded(metafile: Metafile): void {
  const found = Object.keys(metafile.inputs).find((input) => embeddedOnly.test(input))
  if (found)
    throw new Error(`the API function may not contain ${found}: load it from main.ts, not from what lambda.ts imports`)
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
  await bundle({ api: join(here, '../apps/api/lambda.ts'), outdir: join(here, 'dist/api') })
}
