import { describeIssues } from '@postern/contract/input-errors.ts'
import { type ListName, listInputSchemas } from '@postern/contract/lists.ts'
import { withoutName } from '../../form/values.ts'

export type EntryErrors = { [control in 'value' | 'action' | 'comment' | 'expiresAt']?: string }

/** Validates a new entry against the contract. Returns the error of each control in words that fit its label. */
export function entryErrors(list: ListName, body: object): EntryErrors {
  const schema = listInputSchemas[list]
  const parsed = schema.safeParse(body)
  if (parsed.success) return {}
  const errors: EntryErrors = {}
  for (const { path, message } of describeIssues(parsed.error, body, schema)) {
    // The control shows local time and not the text of the contract.
    const words = path === 'expiresAt' ? 'must be a date and time' : withoutName(message)
    errors[path as keyof EntryErrors] ??= words
  }
  return errors
}
