import { defineConfig } from 'vitest/config'

/** `unit`: beside the code, no other process. `system`: the whole system from outside, one file at a time. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          root: '..',
          include: ['{apps,workers,db}/**/*.test.{ts,tsx}', 'infra/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**'],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'system',
          root: '.',
          include: ['**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
