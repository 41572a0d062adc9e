import type { PortInForce } from '@postern/contract/views.ts'
import clsx from 'clsx'
import { dequal } from 'dequal/lite'
import { TriangleAlert } from 'lucide-react'
import { useFormContext, useWatch } from 'react-hook-form'
import { Control } from '../../form/Control.tsx'
import { idOf, useErrorAt } from '../../form/errors.tsx'
import type { Field } from '../../form/field.ts'
import { fromForm, toForm, type Values } from '../../form/values.ts'
import { valueText } from '../../review/diff-lines.ts'
import { Badge } from '../../ui/Badge.tsx'
import { formatBytes, formatCount } from '../../ui/format.ts'
import { visibleText } from '../../ui/visible-text.ts'

type Props = {
  field: Field
  /** The saved value. */
  saved: unknown
  /** Set if an environment variable fixes the value: its content. */
  fixed: string | undefined
  /** For a port: where the port in force differs from the saved one. */
  inForce: readonly PortInForce[] | undefined
  readOnly: boolean
}

/** One setting: its name, effect and default, and a warning if its current value is dangerous. */
export function SettingRow({ field, saved, fixed, inForce, readOnly }: Props) {
  const form = useFormContext<Values>()
  const typed = useWatch<Values, string>({ name: field.key })
  const value = fromForm([field], { [field.key]: typed })[field.key]
  const error = useErrorAt(field.key)
  const id = idOf(field.key)
  const changed = !dequal(value, saved)
  const danger = dangerOf(field, value, changed)
  const tall = field.kind === 'rows' || field.kind === 'group' || (field.kind === 'switched-group' && value !== 'off')
  return (
    <div
      data-setting={field.key}
      className={clsx(
        'grid gap-x-10 gap-y-2.5 border-l-2 px-5 py-4',
        !tall && 'sm:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]',
        changed ? 'border-l-accent bg-accent-soft/40' : 'border-l-transparent',
      )}
    >
      <div className="min-w-0">
        <div className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <label htmlFor={id} className="font-medium">
            {field.title}
          </label>
          <Marks field={field} fixed={fixed} changed={changed} />
        </div>
        <p id={`${id}-help`} className="mt-0.5 max-w-prose text-soft text-sm">
          {field.help}
        </p>
        <p className="mt-1 text-faint text-xs">
          <span className="mono">{field.key}</span> · Default: {defaultText(field)}
          {field.kind === 'number' && ` · ${formatCount(field.min)} to ${formatCount(field.max)}`}
          {!dequal(value, field.initial) && !fixed && !readOnly && (
            <>
              {' · '}
              <button
                type="button"
                className="text-accent underline"
                onClick={() => {
                  const control = toForm([field], { [field.key]: field.initial })[field.key]
                  form.setValue(field.key, control, { shouldDirty: true, shouldTouch: true })
                }}
              >
                Reset<span className="sr-only"> {field.title}</span> to default
              </button>
            </>
          )}
        </p>
      </div>
      <div className="min-w-0">
        <Control field={field} path={field.key} disabled={fixed !== undefined || readOnly} />
        {fixed && (
          <p className="mt-1.5 text-soft text-xs">
            An environment variable sets this: <span className="mono">{fixed}</span>. Remove the variable to change the
            setting here.
          </p>
        )}
        {inForce?.map(({ worker, ports, because }) => (
          <p key={worker} className="mt-1.5 text-sm text-warn">
            In force: {ports.length > 0 ? ports.join(', ') : 'no port is open'} on {worker}
            {because && ` (${visibleText(because)})`}
          </p>
        ))}
        {error && (
          <p id={`${id}-error`} className="mt-1.5 text-danger text-sm">
            {error}
          </p>
        )}
        {danger && (
          <p role="status" className="mt-2 flex gap-2 rounded-md bg-danger-soft px-3 py-2 text-danger text-sm">
            <TriangleAlert aria-hidden="true" className="mt-0.5 size-4 shrink-0" />
            {danger}
          </p>
        )}
      </div>
    </div>
  )
}

/** Returns the warning for a value: for the listed values, or for any change if none are listed. */
export function dangerOf(field: Field, value: unknown, changed: boolean): string | undefined {
  if (!field.danger) return undefined
  const { text, values } = field.danger
  if (values) return values.some((bad) => dequal(bad, value)) ? text : undefined
  return changed && !dequal(value, field.initial) ? text : undefined
}

function defaultText(field: Field): string {
  const unit = field.unit ? ` ${field.unit}` : ''
  if (typeof field.initial === 'number') {
    const bytes = field.unit === 'bytes' ? ` (${formatBytes(field.initial)})` : ''
    return `${formatCount(field.initial)}${unit}${bytes}`
  }
  if (field.kind === 'group')
    return Object.values(field.initial as object).every((v) => v === 0) ? 'all 0' : 'see fields'
  if (Array.isArray(field.initial) && field.initial.length > 0) return field.initial.join(', ')
  if (field.initial === '') return 'empty'
  return valueText(field.initial)?.replace(/[()]/g, '') ?? 'none'
}

function Marks({ field, fixed, changed }: { field: Field; fixed: string | undefined; changed: boolean }) {
  return (
    <>
      {changed && <Badge tone="good">changed</Badge>}
      {fixed && <Badge tone="info">set by the environment</Badge>}
      {field.exemptsWhiteListed && (
        <Badge title="Clients in the White List skip this check.">skipped for White List</Badge>
      )}
    </>
  )
}
