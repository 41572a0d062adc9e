import { type EventType, eventTypes } from '@postern/contract/events.ts'
import type { Page, RecordedEvent } from '@postern/contract/views.ts'
import type { Api } from '../system/api.ts'
import type { Case } from './case.ts'

/** Reads the stored events about the clients of the cases. */

type AboutClient = RecordedEvent & { client?: { ip: string }; address?: string; verdict?: Case['verdict'] }

/** All stored events, newest first. */
export async function recordedEvents(api: Api, asked: { type?: EventType } = {}): Promise<RecordedEvent[]> {
  const found: RecordedEvent[] = []
  let cursor: string | undefined
  do {
    const page: Page<RecordedEvent> = await api.get('/v1/events', {
      limit: 1000,
      ...asked,
      ...(cursor ? { cursor } : {}),
    })
    found.push(...page.items)
    cursor = page.nextCursor ?? undefined
  } while (cursor)
  return found
}

/** By the client's address, oldest first. */
export async function eventsByClient(api: Api): Promise<Map<string, AboutClient[]>> {
  const found = new Map<string, AboutClient[]>()
  for (const event of (await recordedEvents(api)).reverse() as AboutClient[]) {
    const ip = event.client?.ip ?? event.address ?? ''
    const known = found.get(ip)
    if (known) known.push(event)
    else found.set(ip, [event])
  }
  return found
}

type Recorded = {
  events: EventType[]
  verdict: string
  watched: readonly string[]
}

/**
 * Returns the event types, each once, the verdict in the last event of a type for which the case expects one, and the
 * watched rules that would have decided.
 */
export function recordedOf(events: readonly AboutClient[], one: Case): Recorded {
  const types = [...new Set(events.map(({ type }) => type as EventType))].sort()
  const last = events.findLast(({ verdict }) => verdict !== undefined)?.verdict
  const text = JSON.stringify(events)
  const watched = watchedOf(one).filter((rule) => text.includes(`: ${rule} (watched) `))
  return { events: types, verdict: carriesVerdict(one) && last ? sentence(last) : 'none', watched }
}

export function expectedOf(one: Case): Recorded {
  return {
    events: [...one.events].sort(),
    verdict: carriesVerdict(one) ? sentence(one.verdict) : 'none',
    watched: watchedOf(one),
  }
}

function watchedOf({ given }: Case): readonly string[] {
  return (given.settings?.security?.watch as string[] | undefined) ?? []
}

const sentence = ({ stage, rule, reason }: Case['verdict']) => `${stage}: ${rule} says ${reason}`

/** The last refusal of a case is recorded with its verdict. */
function carriesVerdict({ events, verdict }: Case): boolean {
  return verdict.rule !== 'accept' && events.some((type) => 'verdict' in eventTypes[type].fields.shape)
}
