import { Control } from './Control.tsx'
import { idOf, useErrorAt } from './errors.tsx'
import type { Field } from './field.ts'

/** A key inside an object: its own label, help and error, smaller than a setting. */
export function SubField({ field, path, disabled }: { field: Field; path: string; disabled: boolean }) {
  const error = useErrorAt(path)
  const id = idOf(path)
  return (
    <div className="flex min-w-0 flex-col gap-1">
      <label htmlFor={id} className="text-soft text-sm">
        {field.title}
        {field.optional && <span className="text-faint"> (optional)</span>}
      </label>
      <Control field={field} path={path} disabled={disabled} />
      {field.help && (
        <p id={`${id}-help`} className="text-faint text-xs">
          {field.help}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} className="text-danger text-xs">
          {error}
        </p>
      )}
    </div>
  )
}
