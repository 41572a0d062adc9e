import { use } from 'react'
import { useController } from 'react-hook-form'
import { Checkbox, Input, Select, Switch, TextArea } from '../ui/Controls.tsx'
import { formatBytes } from '../ui/format.ts'
import { idOf, useErrorAt } from './errors.tsx'
import type { Field } from './field.ts'
import { NewEntryContext } from './new-entry.ts'
import type { Values } from './values.ts'

export type ControlProps = { field: Field; path: string; disabled: boolean; label?: string }

/** A control for one value, bound to the form at `path`. `Control` handles compound types. */
export function SingleControl({ field, path, disabled, label }: ControlProps) {
  const { field: bound } = useController<Values, string>({ name: path })
  const error = useErrorAt(path)
  const isNew = use(NewEntryContext)
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
          placeholder="One per line"
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
          placeholder={isNew ? undefined : 'unchanged'}
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

/** Parses a number. Any other text stays unchanged, and validation refuses it with a message. */
const numberOrText = (text: string): number | string => (/^-?\d{1,15}$/.test(text.trim()) ? Number(text) : text)

/** Text that usually comes from a file: keys and certificates. */
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
        placeholder="Paste text, or choose a file"
        value={String(value ?? '')}
        onChange={(event) => onChange(event.target.value)}
        className="mono w-full"
      />
      <input
        type="file"
        aria-label="Choose a file"
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
