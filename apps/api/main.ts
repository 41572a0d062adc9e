import '@postern/store/drizzle-imports.ts'

// Import dynamically: the hook above only affects modules that are imported after it has run.
await import('./node/server.ts')
