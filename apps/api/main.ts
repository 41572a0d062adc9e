import '@postern/store/drizzle-imports.ts'

// After the line above, not beside it: that hook works for what is imported once it has run.
await import('./node/server.ts')
