import { proofs } from './coverage.ts'

/** `node test/cases/table.ts` lists what proves each key. */
for (const [key, places] of proofs()) {
  const shown = places.slice(0, 6).join(', ') + (places.length > 6 ? ` and ${places.length - 6} more` : '')
  console.log(`${key.padEnd(38)} ${shown || 'NOT PROVED'}`)
}
