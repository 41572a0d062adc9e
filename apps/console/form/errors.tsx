import { createContext, use } from 'react'
import type { FieldError } from './values.ts'

/** What is wrong, by the path of the control. One source for both: what the contract refuses here, and what the API refused. */
export const ErrorsContext = createContext<readonly FieldError[]>([])

export function useErrorAt(path: string): string | undefined {
  return use(ErrorsContext).find((error) => error.path === path)?.message
}

/** The id of a control, from its path; its help and error are `…-help` and `…-error`. */
export const idOf = (path: string): string => `field-${path.replace(/\./g, '-')}`

/** Puts the keyboard where the first error is. */
export function focusFirstError(errors: readonly FieldError[]): void {
  for (const { path } of errors) {
    const control = document.getElementById(idOf(path))
    if (!control) continue
    control.scrollIntoView({ block: 'center' })
    control.focus()
    return
  }
}
