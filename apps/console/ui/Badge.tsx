import clsx from 'clsx'
import type { ReactNode } from 'react'

export type Tone = 'calm' | 'good' | 'warn' | 'danger' | 'info'

const tones: Record<Tone, string> = {
  calm: 'border-line bg-sunken text-soft',
  good: 'border-transparent bg-accent-soft text-accent',
  warn: 'border-transparent bg-warn-soft text-warn',
  danger: 'border-transparent bg-danger-soft text-danger',
  info: 'border-line bg-raised text-info',
}

export function Badge({ tone = 'calm', title, children }: { tone?: Tone; title?: string; children: ReactNode }) {
  return (
    <span
      title={title}
      className={clsx('inline-flex items-center gap-1 whitespace-nowrap rounded border px-1.5 text-xs', tones[tone])}
    >
      {children}
    </span>
  )
}

/** A state as a coloured badge. Colour is never the only sign: the word is next to it. */
export function StateBadge({ state }: { state: string }) {
  return (
    <Badge tone={toneOf(state)}>
      <span aria-hidden="true" className="size-1.5 rounded-full bg-current" />
      {state}
    </Badge>
  )
}

function toneOf(state: string): Tone {
  switch (state) {
    case 'running':
    case 'delivered':
    case 'active':
      return 'good'
    case 'degraded':
    case 'bounced':
    case 'silent':
      return 'danger'
    case 'stopped':
    case 'starting':
    case 'stopping':
    case 'deferred':
    case 'held':
    case 'refused':
      return 'warn'
    default:
      return 'calm'
  }
}
