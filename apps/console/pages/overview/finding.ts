/** A condition that needs attention. */
export type Finding = {
  severity: 'danger' | 'warn' | 'info'
  title: string
  detail: string
  /** The page that helps, and its search. */
  to: string
  search?: object
}
