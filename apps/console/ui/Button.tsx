import clsx from 'clsx'
import type { ButtonHTMLAttributes, ReactNode, Ref } from 'react'

export type Look = 'plain' | 'primary' | 'danger' | 'quiet'

const looks: Record<Look, string> = {
  plain: 'border-edge bg-raised text-ink hover:bg-sunken',
  primary: 'border-transparent bg-accent text-on-accent hover:bg-accent-strong',
  danger: 'border-transparent bg-danger text-on-danger hover:brightness-110',
  quiet: 'border-transparent text-soft hover:bg-sunken hover:text-ink',
}

export const buttonClass = (look: Look = 'plain') =>
  clsx(
    'inline-flex h-8 shrink-0 items-center justify-center gap-1.5 whitespace-nowrap rounded-md border px-3 text-sm font-medium',
    'transition-colors disabled:cursor-not-allowed disabled:opacity-55 [&_svg]:size-4 [&_svg]:shrink-0',
    looks[look],
  )

type Props = ButtonHTMLAttributes<HTMLButtonElement> & {
  look?: Look
  ref?: Ref<HTMLButtonElement>
  /** In progress: the button keeps its width and cannot be pressed again. */
  busy?: boolean
}

export function Button({ look = 'plain', busy = false, className, disabled, type = 'button', ...rest }: Props) {
  return (
    <button
      {...rest}
      type={type}
      data-look={look}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      className={clsx(buttonClass(look), busy && 'animate-pulse', className)}
    />
  )
}

type IconProps = Omit<Props, 'children'> & { label: string; children: ReactNode }

/** A button with only an icon. `label` is its name and its tooltip. */
export function IconButton({ label, className, look = 'quiet', ...rest }: IconProps) {
  return <Button {...rest} look={look} aria-label={label} title={label} className={clsx('w-8 px-0!', className)} />
}
