import { useController } from 'react-hook-form'
import { Checkbox, Input, Select, Switch, TextArea } from '../ui/Controls.tsx'
import { formatBytes } from '../ui/format.ts'
import { idOf, useErrorAt } from './errors.tsx'
import type { Field } from './field.ts'
import { Rows } from './Rows.tsx'
import { SubField } from './SubField.tsx'
import type { Values } from './values.ts'

type Props = { field: Field; path: string; disabled: boolean; label?: string }

/** The control that fits the field's shape, bound to the form at `path`. */
export function Control({ field, path, disabled, label }: Props) {
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
      return <Single field={field} path={path} disabled={disabled} {...(label ? { label } : {})} />
  }
}

function Single({ field, path, disabled, label }: Props) {
  const { field: bound } = useController<Values, string>({ name: path })
  const error = useErrorAt(path)
  const id = idOf(path)
  const wiring = {
    id,
    disabled,
    ref: bound.ref,
    onBlur: bound.onBlur,
    ...(label ? { 'aria-label': label } : {}),
    'aria-invalid': error ? (true as const) : undefined,
    'aria-describedby': [field.help && `${id}-help`, error && `${id}-error`].filter(Boolean).join(' ') || undefined,
  }
  const value = bound.value
  switch (field.kind) {
    case 'choice':
      return (
        <Select {...wiring} value={String(value)} onChange={bound.onChange}>
          {field.options.map((option) => (
            <option key={option} value={option}>
              {option}
            </option>
          ))}
        </Select>
      )
    case 'switch':
      return (
        <span className="flex items-center gap-2.5 text-sm">
          <Switch
            id={id}
            checked={value === true}
            disabled={disabled}
            onChange={bound.onChange}
            aria-describedby={wiring['aria-describedby']}
            {...(label ? { 'aria-label': label } : {})}
          />
          <span aria-hidden="true" className="text-soft">
            {value === true ? 'on' : 'off'}
          </span>
        </span>
      )
    case 'number':
      return (
        <span className="flex flex-wrap items-center gap-2 text-sm">
          <Input
            {...wiring}
            inputMode="numeric"
            className="w-32 text-right"
            value={String(value ?? '')}
            onChange={(event) => bound.onChange(numberOrText(event.target.value))}
          />
          {field.unit && <span className="text-soft">{field.unit}</span>}
          {field.unit === 'bytes' && typeof value === 'number' && value > 0 && (
            <span className="text-faint">= {formatBytes(value)}</span>
          )}
        </span>
      )
    case 'lines':
      return (
        <TextArea
          {...wiring}
          value={String(value ?? '')}
          onChange={bound.onChange}
          rows={Math.min(10, Math.max(2, String(value).split('\n').length))}
          placeholder="One a line"
          className="mono w-full"
        />
      )
    case 'choices':
      return <Choices field={field} id={id} value={value} onChange={bound.onChange} disabled={disabled} />
    case 'secret':
      if (isLong(field)) return <LongText wiring={wiring} value={value} onChange={bound.onChange} />
      return (
        <Input
          {...wiring}
          type="password"
          autoComplete="new-password"
          placeholder="unchanged"
          value={String(value ?? '')}
          onChange={bound.onChange}
          className="w-full"
        />
      )
    default:
      if (isLong(field)) return <LongText wiring={wiring} value={value} onChange={bound.onChange} />
      return <Input {...wiring} value={String(value ?? '')} onChange={bound.onChange} className="w-full" />
  }
}

/** A number where it is one; anything else stays as it was typed, and is refused in words. */
const numberOrText = (text: string): number | string => (/^-?\d{1,15}$/.test(text.trim()) ? Number(text) : text)

/** Text that comes as a file: keys and certificates. */
const isLong = (field: Field): boolean => 'max' in field && field.kind !== 'number' && (field.max ?? 0) >= 10_000

type LongProps = {
  wiring: object & { id: string; disabled: boolean }
  value: unknown
  onChange: (text: string) => void
}
function LongText({ wiring, value, onChange }: LongProps) {
  return (
    <div className="flex flex-col gap-1.5">
      <TextArea
        {...wiring}
        rows={5}
        placeholder="Paste it here, or choose a file"
        value={String(value ?? '')}
        onChange={(event) => onChange(event.target.value)}
        className="mono w-full"
      />
      <input
        type="file"
        aria-label="Choose a file instead"
        disabled={wiring.disabled}
        onChange={(event) => void event.target.files?.[0]?.text().then(onChange)}
        className="text-soft text-xs file:mr-2 file:rounded file:border file:border-edge file:bg-raised file:px-2 file:py-1 file:text-ink"
      />
    </div>
  )
}

type ChoicesProps = {
  field: Field & { kind: 'choices' }
  id: string
  value: unknown
  onChange: (value: string[]) => void
  disabled: boolean
}
function Choices({ field, id, value, onChange, disabled }: ChoicesProps) {
  const chosen = new Set(value as string[])
  return (
    <fieldset id={id} tabIndex={-1} className="flex flex-wrap gap-x-5 gap-y-1.5">
      <legend className="sr-only">{field.title}</legend>
      {field.options.map((option) => (
        <Checkbox
          key={option}
          label={option}
          disabled={disabled}
          checked={chosen.has(option)}
          onChange={(event) =>
            onChange(field.options.filter((name) => (name === option ? event.target.checked : chosen.has(name))))
          }
        />
      ))}
    </fieldset>
  )
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
