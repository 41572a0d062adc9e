import { readFile } from 'node:fs/promises'
import type { RowDiff } from '@postern/contract/views.ts'
import type { Client } from './client.ts'

type Plan = { creates: RowDiff[]; updates: RowDiff[]; deletes: RowDiff[]; revision: number }

/** Shows what applying the file would change. Returns exit code 0 if there is no drift and 2 if there is. */
export async function plan(client: Client, file: string): Promise<number> {
  const { creates, updates, deletes, revision } = await client.post<Plan>('/v1/plan', { document: await read(file) })
  print({ creates, updates, deletes, revision })
  return creates.length + updates.length + deletes.length === 0 ? 0 : 2
}

/**
 * Plans the change, prints it, and applies exactly that. The API refuses if someone else has made a change in between.
 */
export async function apply(client: Client, file: string): Promise<number> {
  const document = await read(file)
  const shown = await client.post<Plan>('/v1/plan', { document })
  print(shown)
  if (shown.creates.length + shown.updates.length + shown.deletes.length === 0) return 0
  const { revision } = await client.post<{ revision: number }>('/v1/apply', { document, revision: shown.revision })
  console.log(`applied as revision ${revision}`)
  return 0
}

async function read(file: string): Promise<unknown> {
  const text = await readFile(file === '-' ? '/dev/stdin' : file, 'utf8').catch((error: Error) => {
    throw new Error(`cannot read ${file}: ${error.message}`)
  })
  // Only these two commands need it, and it takes a while to load.
  const { parse } = await import('yaml')
  try {
    return parse(text)
  } catch (error) {
    throw new Error(`${file} is not valid YAML or JSON: ${(error as Error).message}`)
  }
}

function print({ creates, updates, deletes, revision }: Plan): void {
  for (const row of creates) console.log(`+ ${row.kind} ${row.label}`)
  for (const row of updates) {
    console.log(`~ ${row.kind} ${row.label}`)
    for (const line of changedKeys(row)) console.log(`    ${line}`)
  }
  for (const row of deletes) console.log(`- ${row.kind} ${row.label}`)
  console.log(
    `${creates.length} to create, ${updates.length} to change, ${deletes.length} to delete, against revision ${revision}`,
  )
}

function changedKeys({ before, after }: RowDiff): string[] {
  const old = (before ?? {}) as Record<string, unknown>
  const now = (after ?? {}) as Record<string, unknown>
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .filter((key) => JSON.stringify(old[key]) !== JSON.stringify(now[key]))
    .map((key) => `${key}: ${JSON.stringify(old[key])} -> ${JSON.stringify(now[key])}`)
}
