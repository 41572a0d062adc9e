import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const house = fileURLToPath(new URL('..', import.meta.url))

// About 90 Posterns of three processes are started, and each test file is a process: Node keeps what it compiled for them.
process.env.NODE_COMPILE_CACHE ??= `${house}node_modules/.cache/node-compile`

/** Tests in this folder that need no other process. */
const alone = ['test/guards.test.ts', 'test/cases/decide.test.ts']

/** `unit`: beside the code, no other process. `system`: the whole system from outside, three files at a time. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          root: house,
          include: ['{apps,workers,db}/**/*.test.{ts,tsx}', 'infra/**/*.test.ts', ...alone],
          exclude: ['**/node_modules/**', '**/dist/**'],
          // Most files wait for a disk, a process or a socket some of the time; vitest alone would take one on two cores.
          maxWorkers: Math.max(2, availableParallelism()),
          execArgv: ['--import', `${house}db/store/drizzle-imports.ts`],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'system',
          root: `${house}test`,
          include: ['**/*.test.ts'],
          exclude: ['**/node_modules/**', ...alone.map((name) => name.replace('test/', ''))],
          // Each file has ports, directories and loopback addresses of its own; most of their time is waiting.
          maxWorkers: 3,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // A machine with other work must not decide a test: what is waited for comes, or it does not.
          expect: { poll: { timeout: 30_000 } },
        },
      },
    ],
  },
})
