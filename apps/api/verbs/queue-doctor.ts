import type { QueueSettings } from '@postern/contract/settings.ts'
import type { QueueDoctorItem } from '@postern/contract/views.ts'
import { type WaitingCause, waitingCauses } from '@postern/contract/waiting-causes.ts'
import { getSettings } from '@postern/store/control/rows.ts'
import { type WaitingGroup, waitingGroups } from '@postern/store/records/queue.ts'
import { iso } from '../pagination.ts'
import type { Call } from '../write-revision.ts'

/**
 * Explains why mail waits, by destination and cause. Each group has the next step and the filter that finds its
 * messages.
 */

const maxGroups = 200

export async function readQueueDoctor({ parts }: Call): Promise<{ items: QueueDoctorItem[] }> {
  const settings = await getSettings(parts.control, 'queue')
  const groups = await waitingGroups(parts.records, maxGroups)
  return { items: groups.map((group) => itemOf(group, settings)) }
}

function itemOf(group: WaitingGroup, settings: QueueSettings): QueueDoctorItem {
  const { domain, cause, messages, recipients, oldest, nextTryAt, messageId, reply } = group
  const isDeferred = cause !== 'held' && cause !== 'not-tried' && nextTryAt !== null
  return {
    destination: domain,
    cause,
    title: waitingCauses[cause].title,
    messages,
    recipients,
    oldestReceivedAt: iso(oldest),
    ...(isDeferred ? { nextTryAt: iso(nextTryAt) } : {}),
    explanation: waitingCauses[cause].explanation,
    nextAction: nextActionOf(cause, settings),
    example: { messageId, reply },
    filter: filterOf(cause, domain),
  }
}

function nextActionOf(cause: WaitingCause, { triesBeforeReturn, maxQueueHours }: QueueSettings): string {
  if (cause === 'held') return 'None. Held messages are neither tried nor returned.'
  if (cause === 'not-tried') return 'Each message is tried when its turn comes.'
  return `Each message is tried again when it is due. It is returned to its sender after ${triesBeforeReturn} attempts or ${maxQueueHours} hours.`
}

function filterOf(cause: WaitingCause, domain: string): QueueDoctorItem['filter'] {
  if (cause === 'held') return { domain, state: 'held' }
  if (cause === 'not-tried') return { domain, state: 'active' }
  return { domain, cause }
}
