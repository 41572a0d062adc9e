import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const root = fileURLToPath(new URL('..', import.meta.url))

// About 90 Posterns of three processes are started, and each test file is a process: Node keeps what it compiled for them.
process.env.NODE_COMPILE_CACHE ??= `${root}node_modules/.cache/node-compile`

/** The slowest files, slowest first. If one started late, it would run alone at the end. */
const longest = [
  'console/pages',
  'faults/disk',
  'faults/kill',
  'system/cli',
  'system/sendmail',
  'system/bad-files',
  'cases/cases',
  'faults/restored-settings',
  'console/roles',
  'console/trouble',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = longest.findIndex((name) => moduleId.endsWith(`test/${name}.test.ts`))
      return at < 0 ? longest.length : at
    }
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b))
  }
}

/** Tests in this folder that need no other process. */
const alone = ['test/guards.test.ts', 'test/cases/decide.test.ts']

/** Folders without state, clock and I/O. Their files share a process and its loaded modules, for a fifth of the CPU time. */
const pure = ['db/contract/**/*.test.ts', 'workers/policy/**/*.test.ts']

/** `unit`, `unit-pure`: beside the code, without other processes. `system`: the whole system from outside, three files at a time. */
export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          root: root,
          include: ['{apps,workers,db}/**/*.test.{ts,tsx}', 'infra/**/*.test.ts', ...alone],
          exclude: ['**/node_modules/**', '**/dist/**', ...pure],
          // Most files wait for a disk, a process or a socket some of the time; vitest alone would take one on two cores.
          maxWorkers: Math.max(2, availableParallelism()),
          execArgv: ['--import', `${root}db/store/drizzle-imports.ts`],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'unit-pure',
          root: root,
          include: pure,
          isolate: false,
          maxWorkers: Math.max(2, availableParallelism()),
          // Property tests run thousands of times.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'system',
          root: `${root}test`,
          include: ['**/*.test.ts'],
          exclude: ['**/node_modules/**', ...alone.map((name) => name.replace('test/', ''))],
          // Each file has ports, directories and loopback addresses of its own; most of their time is waiting.
          maxWorkers: 3,
          // Tests that may run side by side: each has an installation of its own.
          maxConcurrency: 3,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // A machine with other work must not decide a test: what is waited for comes, or it does not.
          expect: { poll: { timeout: 30_000 } },
        },
      },
    ],
  },
})
