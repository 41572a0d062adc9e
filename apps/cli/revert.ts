import type { WriteResult } from '@postern/contract/views.ts'
import type { Client } from './client.ts'
import { Exit, sysexits } from './sysexits.ts'

/** Undoes one revision and prints what changed. The API refuses if rows have changed since, and names them. */
export async function revert(client: Client, number: string, force: string | undefined): Promise<number> {
  if (!/^[1-9]\d*$/.test(number)) throw new Exit(sysexits.usage, `revert needs a revision number, not "${number}"`)
  if (force !== undefined && force !== '--force') throw new Exit(sysexits.usage, `revert has no option "${force}"`)
  const body = { force: force === '--force' }
  const { revision, changes = 0, diff } = await client.post<WriteResult>(`/v1/revisions/${number}/revert`, body)
  for (const { kind, label } of diff) console.log(`~ ${kind} ${label}`)
  if (changes > diff.length) console.log(`… and ${changes - diff.length} more`)
  console.log(changes === 0 ? 'nothing to undo' : `revision ${number} was undone by revision ${revision}`)
  return 0
}
