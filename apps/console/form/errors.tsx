import { createContext, use } from 'react'
import type { FieldError } from './values.ts'

/** Errors by the path of their control, both from the contract's checks and from the API. */
export const ErrorsContext = createContext<readonly FieldError[]>([])

export function useErrorAt(path: string): string | undefined {
  return use(ErrorsContext).find((error) => error.path === path)?.message
}

/** Returns the id of a control from its path. Its help and error have the ids `…-help` and `…-error`. */
export const idOf = (path: string): string => `field-${path.replace(/\./g, '-')}`

/** Moves the focus to the first error. */
export function focusFirstError(errors: readonly FieldError[]): void {
  for (const { path } of errors) {
    const control = document.getElementById(idOf(path))
    if (!control) continue
    control.scrollIntoView({ block: 'center' })
    control.focus()
    return
  }
}
