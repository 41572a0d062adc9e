import type { OrderAction } from '@postern/contract/orders.ts'

export type Action = Exclude<OrderAction, 'run'>

/** What each action does, in words said before it is done. */
export const actions: Record<Action, { title: string; says: string; danger?: true }> = {
  release: { title: 'Release', says: 'Held mail goes on: it is tried now.' },
  retry: { title: 'Retry', says: 'It is tried now, without waiting for the schedule.' },
  hold: { title: 'Hold', says: 'It stays in the queue until somebody releases it. No warning and no bounce is sent.' },
  reroute: { title: 'Reroute', says: 'It goes to the host you name instead of where its domain says.' },
  bounce: {
    title: 'Bounce',
    says: 'It is given up: the sender gets a notice that it was not delivered.',
    danger: true,
  },
  delete: {
    title: 'Delete',
    says: 'It is gone. Nobody gets it and nobody is told. This cannot be undone.',
    danger: true,
  },
}

export const actionNames = Object.keys(actions) as Action[]

/** `host` or `host:port`, an IPv6 address in brackets; `null` when it is neither. */
export function readHost(text: string): { host: string; port?: number } | null {
  const found = /^(\[[0-9a-f:.]+\]|[^\s:]+)(?::(\d{1,5}))?$/i.exec(text.trim())
  if (!found?.[1]) return null
  const host = found[1].replace(/^\[|\]$/g, '')
  return found[2] ? { host, port: Number(found[2]) } : { host }
}
