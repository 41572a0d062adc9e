import clsx from 'clsx'
import { type ReactNode, useId } from 'react'

type Wiring = { id: string; 'aria-invalid': true | undefined; 'aria-describedby': string | undefined }
type Props = {
  label: ReactNode
  help?: ReactNode
  error?: string | undefined
  className?: string
  /** Renders the control. Spread the wiring on it to connect label, help and error. */
  children: (wiring: Wiring) => ReactNode
}

/** A small labelled control for dialogs and filters. Settings have their own row (SettingRow). */
export function LabelledField({ label, help, error, className, children }: Props) {
  const id = useId()
  const about = clsx(help && `${id}-help`, error && `${id}-error`)
  return (
    <div className={clsx('flex flex-col gap-1', className)}>
      <label htmlFor={id} className="font-medium text-sm text-soft">
        {label}
      </label>
      {children({ id, 'aria-invalid': error ? true : undefined, 'aria-describedby': about || undefined })}
      {help && (
        <p id={`${id}-help`} className="text-faint text-xs">
          {help}
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
