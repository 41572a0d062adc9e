import type { Role } from '@postern/contract/roles.ts'
import clsx from 'clsx'
import { CircleAlert, Eye, type LucideIcon } from 'lucide-react'
import { type ReactNode, useEffect } from 'react'
import { explain } from '../api/problem.ts'
import { useMay, useRole } from '../api/role.ts'
import { Button } from './Button.tsx'

type PageProps = {
  title: string
  help?: ReactNode
  actions?: ReactNode
  children: ReactNode
  narrow?: boolean
  /** The permission that the page's controls need. Without it they are hidden, and this line says why. */
  needs?: Needs | undefined
}
type Needs = { role: Role; to: string }

/** A page: its title, a line about its purpose, its actions and its content. */
export function Page({ title, help, actions, children, narrow = false, needs }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Postern`
  }, [title])
  return (
    <div className={clsx('w-full px-4 py-5 sm:px-8 sm:py-7', narrow ? 'max-w-4xl' : 'max-w-[92rem]')}>
      <header className="mb-5 flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0">
          <h1 className="font-semibold text-xl tracking-tight [overflow-wrap:anywhere]">{title}</h1>
          {help && <p className="mt-0.5 max-w-2xl text-soft text-sm">{help}</p>}
        </div>
        {actions && <div className="flex flex-wrap gap-2">{actions}</div>}
      </header>
      {needs && <RoleNote {...needs} />}
      {children}
    </div>
  )
}

function RoleNote({ role, to }: Needs) {
  const mine = useRole()
  const may = useMay(role)
  if (may) return null
  return (
    <p data-testid="role-note" className="mb-5 flex gap-2.5 rounded-lg border border-line bg-panel px-4 py-2.5 text-sm">
      <Eye aria-hidden="true" className="mt-0.5 size-4 shrink-0 text-faint" />
      <span>
        Your role is <strong>{mine}</strong>. To {to}, you need the role <strong>{role}</strong>.
      </span>
    </p>
  )
}

type PanelProps = { title?: ReactNode; aside?: ReactNode; children: ReactNode; flush?: boolean; className?: string }

export function Panel({ title, aside, children, flush = false, className }: PanelProps) {
  return (
    <section className={clsx('overflow-clip rounded-lg border border-line bg-panel', className)}>
      {title && (
        <div className="flex min-h-11 flex-wrap items-center justify-between gap-3 border-line border-b px-4 py-1.5">
          <h2 className="font-semibold text-sm">{title}</h2>
          {aside}
        </div>
      )}
      <div className={clsx(!flush && 'p-4')}>{children}</div>
    </section>
  )
}

type EmptyProps = { icon: LucideIcon; title: string; children?: ReactNode }

/** Shown if there is no content: why, and what to do next. */
export function Empty({ icon: Icon, title, children }: EmptyProps) {
  return (
    <div className="flex flex-col items-center gap-1.5 px-6 py-12 text-center">
      <Icon aria-hidden="true" className="mb-1 size-7 text-faint" strokeWidth={1.5} />
      <p className="font-medium">{title}</p>
      {children && <div className="max-w-md text-soft text-sm">{children}</div>}
    </div>
  )
}

export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  return (
    <div role="alert" className="flex flex-wrap items-center gap-3 rounded-lg bg-danger-soft px-4 py-3 text-sm">
      <CircleAlert aria-hidden="true" className="size-4 shrink-0 text-danger" />
      <p className="min-w-0 flex-1">{explain(error)}</p>
      {onRetry && <Button onClick={onRetry}>Try again</Button>}
    </div>
  )
}

/** A placeholder while content loads, so that the layout does not jump. */
export function Loading({ rows = 6 }: { rows?: number }) {
  return (
    <div role="status" className="flex flex-col gap-2.5 p-4">
      <span className="sr-only">Loading</span>
      {Array.from({ length: rows }, (_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all alike
        <div key={i} className="h-6 animate-pulse rounded bg-sunken" />
      ))}
    </div>
  )
}

type QueryLike<T> = { data: T | undefined; error: unknown; refetch: () => unknown }

/** Shows the loading state, the error, or the content. Loaded content stays visible if a later refresh fails. */
export function Loaded<T>({
  query,
  rows,
  children,
}: {
  query: QueryLike<T>
  rows?: number
  children: (data: T) => ReactNode
}) {
  if (query.data !== undefined)
    return (
      <>
        {query.error ? <StaleNote error={query.error} /> : null}
        {children(query.data)}
      </>
    )
  if (query.error) return <Failure error={query.error} onRetry={() => query.refetch()} />
  return <Loading {...(rows === undefined ? {} : { rows })} />
}

function StaleNote({ error }: { error: unknown }) {
  return (
    <p role="status" className="mb-3 rounded-md bg-warn-soft px-3 py-2 text-sm text-warn">
      What you see may be out of date: {explain(error)}
    </p>
  )
}

export function Facts({ children, className }: { children: ReactNode; className?: string }) {
  return <dl className={clsx('grid grid-cols-[max-content_1fr] gap-x-5 gap-y-1.5 text-sm', className)}>{children}</dl>
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-faint">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  )
}
