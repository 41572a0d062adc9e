import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** What is built before the stacks are: directories that synth only packs, never builds. */
export type Assets = {
  /** The bundled API function: `index.mjs` with its `api.mjs` and native packages (bundle.ts). */
  api: string
  /** The console's static files, with `index.html`. */
  console: string
  /** Docker's build context of the workers' image: the repository, less `.dockerignore`. Built at deployment, not at synth. */
  image: string
}

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

export const builtAssets: Assets = {
  api: path('dist/api'),
  console: path('../apps/console/dist'),
  image: path('..'),
}

/** The assets, each proven to be there. Throws an Error that names what is missing and the command that makes it. */
export function requireBuilt(assets: Assets = builtAssets): Assets {
  const parts = [
    { file: `${assets.api}/index.mjs`, what: 'the API function', command: 'npm run bundle -w infra' },
    { file: `${assets.api}/api.mjs`, what: 'the API function', command: 'npm run bundle -w infra' },
    { file: `${assets.console}/index.html`, what: 'the console', command: 'npm run build -w @postern/console' },
    { file: `${assets.image}/infra/Dockerfile`, what: "the workers' image", command: 'git checkout infra/Dockerfile' },
  ]
  const missing = parts.filter(({ file }) => !existsSync(file))
  if (missing.length > 0) {
    const lines = missing.map(({ file, what, command }) => `${file} is missing: ${what} is not built; run: ${command}`)
    throw new Error(lines.join('\n'))
  }
  return assets
}
