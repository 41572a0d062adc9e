import { defineConfig } from 'drizzle-kit'

export default defineConfig({
  dialect: 'turso',
  schema: './records/tables.ts',
  out: './migrations/records',
  breakpoints: true,
})
