import { Plus, Trash2 } from 'lucide-react'
import { useFieldArray } from 'react-hook-form'
import { Button, IconButton } from '../ui/Button.tsx'
import { idOf, useErrorAt } from './errors.tsx'
import { type Field, initialOf } from './field.ts'
import { SingleControl } from './SingleControl.tsx'
import { toForm } from './values.ts'

type Props = { field: Field & { kind: 'rows' }; path: string; disabled: boolean }

/** A list of objects, one for each row. Each cell is a control. */
export function Rows({ field, path, disabled }: Props) {
  const { fields: rows, append, remove } = useFieldArray<Record<string, object[]>, string>({ name: path })
  return (
    <div id={idOf(path)} tabIndex={-1} className="flex flex-col gap-2">
      {rows.map((row, i) => (
        <div key={row.id} className="flex items-start gap-2 rounded-md border border-line bg-page/60 p-2">
          <div className="grid min-w-0 flex-1 gap-2 sm:grid-cols-3">
            {field.fields.map((inner) => (
              <Cell key={inner.key} field={inner} path={`${path}.${i}.${inner.key}`} row={i + 1} disabled={disabled} />
            ))}
          </div>
          <IconButton label={`Remove row ${i + 1}`} disabled={disabled} onClick={() => remove(i)} className="mt-5">
            <Trash2 />
          </IconButton>
        </div>
      ))}
      {rows.length === 0 && <p className="text-faint text-sm">None.</p>}
      <Button
        className="self-start"
        disabled={disabled}
        onClick={() => append(toForm(field.fields, initialOf(field.fields)))}
      >
        <Plus aria-hidden="true" /> Add
      </Button>
    </div>
  )
}

type CellProps = { field: Field; path: string; row: number; disabled: boolean }
function Cell({ field, path, row, disabled }: CellProps) {
  const error = useErrorAt(path)
  const id = idOf(path)
  return (
    <div className="min-w-0">
      <label htmlFor={id} className="block text-faint text-xs">
        {field.title}
        <span className="sr-only"> of row {row}</span>
      </label>
      <SingleControl field={field} path={path} disabled={disabled} />
      {error && (
        <p id={`${id}-error`} className="text-danger text-xs">
          {error}
        </p>
      )}
    </div>
  )
}
