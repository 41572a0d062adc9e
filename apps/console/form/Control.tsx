import { useController } from 'react-hook-form'
import { Select, Switch } from '../ui/Controls.tsx'
import { idOf } from './errors.tsx'
import type { Field } from './field.ts'
import { Rows } from './Rows.tsx'
import { type ControlProps, SingleControl } from './SingleControl.tsx'
import { SubField } from './SubField.tsx'
import type { Values } from './values.ts'

/** The control for the field's type, bound to the form at `path`. */
export function Control({ field, path, disabled, label }: ControlProps) {
  switch (field.kind) {
    case 'rows':
      return <Rows field={field} path={path} disabled={disabled} />
    case 'group':
      return (
        <div className="grid gap-3 sm:grid-cols-2">
          {field.fields.map((inner) => (
            <SubField key={inner.key} field={inner} path={`${path}.${inner.key}`} disabled={disabled} />
          ))}
        </div>
      )
    case 'variants':
      return <Variants field={field} path={path} disabled={disabled} />
    case 'switched-group':
      return <SwitchedGroup field={field} path={path} disabled={disabled} />
    default:
      return <SingleControl field={field} path={path} disabled={disabled} {...(label ? { label } : {})} />
  }
}

type SwitchedProps = { field: Field & { kind: 'switched-group' }; path: string; disabled: boolean }
function SwitchedGroup({ field, path, disabled }: SwitchedProps) {
  const { field: bound } = useController<Values, string>({ name: `${path}.on` })
  const on = bound.value === true
  const id = idOf(path)
  return (
    <div className="flex flex-col gap-3">
      <span className="flex items-center gap-2.5 text-sm">
        <Switch id={id} checked={on} disabled={disabled} onChange={bound.onChange} aria-describedby={`${id}-help`} />
        <span aria-hidden="true" className="text-soft">
          {on ? 'on' : 'off'}
        </span>
      </span>
      {on && (
        <div className="grid gap-3 border-line border-l-2 pl-4 sm:grid-cols-2">
          {field.fields.map((inner) => (
            <SubField key={inner.key} field={inner} path={`${path}.value.${inner.key}`} disabled={disabled} />
          ))}
        </div>
      )}
    </div>
  )
}

type VariantsProps = { field: Field & { kind: 'variants' }; path: string; disabled: boolean }
function Variants({ field, path, disabled }: VariantsProps) {
  const { field: bound } = useController<Values, string>({ name: `${path}.type` })
  const chosen = field.variants.find(({ type }) => type === bound.value)
  return (
    <div className="flex flex-col gap-3">
      <Select id={idOf(path)} disabled={disabled} value={String(bound.value)} onChange={bound.onChange}>
        {field.variants.map(({ type }) => (
          <option key={type} value={type}>
            {type}
          </option>
        ))}
      </Select>
      {chosen && chosen.fields.length > 0 && (
        <div className="grid gap-3 border-line border-l-2 pl-4 sm:grid-cols-2">
          {chosen.fields.map((inner) => (
            <SubField
              key={inner.key}
              field={inner}
              path={`${path}.of.${chosen.type}.${inner.key}`}
              disabled={disabled}
            />
          ))}
        </div>
      )}
    </div>
  )
}
