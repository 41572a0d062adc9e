import type { OrderAction } from '@postern/contract/orders.ts'

export type Action = Exclude<OrderAction, 'run'>

/** Describes each action in words, shown before it is carried out. */
export const actions: Record<Action, { title: string; says: string; danger?: true }> = {
  release: { title: 'Release', says: 'Held messages are released and tried now.' },
  retry: { title: 'Retry', says: 'Messages are tried now instead of at their next scheduled time.' },
  hold: {
    title: 'Hold',
    says: 'Messages stay in the queue until an operator releases them. No delay warning or bounce is sent.',
  },
  reroute: { title: 'Reroute', says: 'Messages go to this host instead of the route of their domain.' },
  bounce: {
    title: 'Bounce',
    says: 'Messages are not delivered. Each sender gets a DSN.',
    danger: true,
  },
  delete: {
    title: 'Delete',
    says: 'Messages are deleted. The sender gets no DSN. This cannot be undone.',
    danger: true,
  },
}

export const actionNames = Object.keys(actions) as Action[]

/** Parses `host` or `host:port`, with an IPv6 address in brackets. Returns `null` if the text is neither. */
export function readHost(text: string): { host: string; port?: number } | null {
  const found = /^(\[[0-9a-f:.]+\]|[^\s:]+)(?::(\d{1,5}))?$/i.exec(text.trim())
  if (!found?.[1]) return null
  const host = found[1].replace(/^\[|\]$/g, '')
  return found[2] ? { host, port: Number(found[2]) } : { host }
}
