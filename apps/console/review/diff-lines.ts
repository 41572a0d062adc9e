import { type SettingGroup, settingGroups } from '@postern/contract/settings.ts'
import type { RowDiff } from '@postern/contract/views.ts'
import { fieldsOf, titleOf } from '../form/field.ts'
import { changesOf } from '../form/patch.ts'
import { fieldAt } from '../form/values.ts'

/** One line of a diff in words: name, before, after. `undefined`: the value did not exist, or was removed. */
export type DiffLine = { title: string; path: string; before: string | undefined; after: string | undefined }

/** Returns the changes of a row, leaf by leaf. A created or deleted row is compared with nothing. */
export function diffLines(diff: RowDiff): DiffLine[] {
  const before = diff.before ?? defaultsOf(diff) ?? (typeof diff.after === 'object' ? {} : undefined)
  const after = diff.after ?? (typeof diff.before === 'object' ? {} : undefined)
  return changesOf(before, after).map((change) => ({
    title: titleFor(diff, change.path),
    path: change.path,
    before: valueText(change.before),
    after: valueText(change.after),
  }))
}

/** Returns the defaults, which a settings group has until it is first saved. */
function defaultsOf({ kind, id }: RowDiff): unknown {
  return kind === 'settings' && id in settingGroups ? settingGroups[id as SettingGroup].schema.parse({}) : undefined
}

function titleFor(diff: RowDiff, path: string): string {
  if (diff.kind !== 'settings' || !(diff.id in settingGroups))
    return path ? titleOf(path.split('.').at(-1) ?? path) : ''
  const fields = fieldsOf(settingGroups[diff.id as SettingGroup].schema)
  const parts = path.split('.')
  return parts.map((part, i) => fieldAt(fields, parts.slice(0, i + 1))?.title ?? part).join(' › ')
}

/** Formats a value as in a form; lists have one item for each line. */
export function valueText(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  if (value === '') return '(empty)'
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  if (Array.isArray(value)) return value.length === 0 ? '(none)' : value.map((item) => valueText(item)).join('\n')
  if (typeof value === 'object')
    return Object.entries(value)
      .map(([key, inner]) => `${key}: ${valueText(inner) ?? ''}`)
      .join(', ')
  return String(value)
}

/** Describes the kind of row in words: `settings general` → `General settings`. */
export function rowTitle({ kind, id, label }: RowDiff): string {
  if (kind === 'settings' && id in settingGroups) return `${settingGroups[id as SettingGroup].title} settings`
  return `${kind.replace(/-/g, ' ')} · ${label || id}`
}
