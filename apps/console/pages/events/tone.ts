import type { Tone } from '../../ui/Badge.tsx'

const exact: Record<string, Tone> = {
  'delivery.delivered': 'good',
  'message.accepted': 'good',
  'delivery.deferred': 'warn',
  'delivery.bounced': 'danger',
  'delivery.duplicate': 'warn',
  'policy.refused': 'danger',
  'listener.failed': 'danger',
  'spool.full': 'danger',
  'spool.damaged': 'danger',
  'log.dropped': 'danger',
  'auth.failed': 'warn',
  'address.blocked': 'warn',
  'session.error': 'warn',
  'policy.applied': 'info',
  'session.watched': 'info',
}

/** How loudly an event is shown; its title stands beside the colour. */
export function toneOfEvent(type: string): Tone {
  return exact[type] ?? (type.endsWith('.refused') ? 'warn' : 'calm')
}
