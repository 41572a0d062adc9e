import clsx from 'clsx'
import { Switch as RadixSwitch } from 'radix-ui'
import type { InputHTMLAttributes, Ref, SelectHTMLAttributes, TextareaHTMLAttributes } from 'react'

const box =
  'rounded-md border border-edge bg-raised text-ink text-sm disabled:opacity-60 disabled:bg-sunken aria-invalid:border-danger aria-invalid:ring-1 aria-invalid:ring-danger'

type InputProps = InputHTMLAttributes<HTMLInputElement> & { ref?: Ref<HTMLInputElement> }
export function Input({ className, ...rest }: InputProps) {
  return (
    <input autoComplete="off" spellCheck={false} {...rest} className={clsx(box, 'h-8 min-w-0 px-2.5', className)} />
  )
}

type SelectProps = SelectHTMLAttributes<HTMLSelectElement> & { ref?: Ref<HTMLSelectElement> }
export function Select({ className, ...rest }: SelectProps) {
  return <select {...rest} className={clsx(box, 'h-8 min-w-0 pr-7 pl-2', className)} />
}

type TextAreaProps = TextareaHTMLAttributes<HTMLTextAreaElement> & { ref?: Ref<HTMLTextAreaElement> }
export function TextArea({ className, ...rest }: TextAreaProps) {
  return <textarea spellCheck={false} {...rest} className={clsx(box, 'min-h-16 px-2.5 py-1.5', className)} />
}

type SwitchProps = {
  id?: string
  checked: boolean
  onChange: (checked: boolean) => void
  disabled?: boolean
  'aria-label'?: string
  'aria-describedby'?: string | undefined
}
export function Switch({ checked, onChange, ...rest }: SwitchProps) {
  return (
    <RadixSwitch.Root
      {...rest}
      checked={checked}
      onCheckedChange={onChange}
      className={clsx(
        'inline-flex h-5 w-9 shrink-0 items-center rounded-full border p-0.5 transition-colors disabled:opacity-60',
        checked ? 'border-transparent bg-accent' : 'border-edge bg-sunken',
      )}
    >
      <RadixSwitch.Thumb
        className={clsx(
          'block size-3.5 rounded-full transition-transform',
          checked ? 'translate-x-4 bg-on-accent' : 'bg-edge',
        )}
      />
    </RadixSwitch.Root>
  )
}

type CheckboxProps = Omit<InputProps, 'type'> & { label: string; hideLabel?: boolean }
export function Checkbox({ label, hideLabel = false, className, ...rest }: CheckboxProps) {
  return (
    <label className={clsx('inline-flex items-center gap-2 text-sm', className)}>
      <input {...rest} type="checkbox" className="size-4 accent-accent" />
      <span className={clsx(hideLabel && 'sr-only')}>{label}</span>
    </label>
  )
}
