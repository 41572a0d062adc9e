import type { ReactNode } from 'react'
import { idOf, useErrorAt } from './errors.tsx'
import type { Field } from './field.ts'
import { SingleControl } from './SingleControl.tsx'

type Props = {
  field: Field
  path: string
  disabled: boolean
  /** Replaces the control for a single value, which is the only kind inside objects in settings. */
  control?: ReactNode
}

/** A key inside an object, with its own label, help and error, smaller than a setting. */
export function SubField({ field, path, disabled, control }: Props) {
  const error = useErrorAt(path)
  const id = idOf(path)
  return (
    <div className="flex min-w-0 flex-col gap-1">
      <label htmlFor={id} className="text-soft text-sm">
        {field.title}
        {field.optional && <span className="text-faint"> (optional)</span>}
      </label>
      {control ?? <SingleControl field={field} path={path} disabled={disabled} />}
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
