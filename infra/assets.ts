import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Directories that are built before the stacks. Synth packs them but never builds them. */
export type Assets = {
  /** The bundled API function: `index.mjs`, `api.mjs` and native packages (bundle.ts). */
  api: string
  /** The console's static files, including `index.html`. */
  console: string
  /**
   * The Docker build context of the worker image: the repository without the files in `.dockerignore`. Built at
   * deployment, not at synth.
   */
  image: string
}

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

export const builtAssets: Assets = {
  api: path('dist/api'),
  console: path('../apps/console/dist'),
  image: path('..'),
}

/**
 * Returns the assets after checking that each exists. Throws an Error that names the missing one and the command that
 * builds it.
 */
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
