import { defineConfig } from 'drizzle-kit'

export default defineConfig({
  dialect: 'turso',
  schema: './control/tables.ts',
  out: './migrations/control',
  breakpoints: true,
})
