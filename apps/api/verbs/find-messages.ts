import type { LoggedMessageView } from '@postern/contract/views.ts'
import type { LoggedMessage, MessageFilter } from '@postern/log/messages.ts'
import { oneSearch } from '../one-search.ts'
import { cursorOf, iso } from '../pagination.ts'
import type { Call } from '../write-revision.ts'
import { filterOf, limitsOf, positionOf, positionText } from './event-query.ts'

/** Searches all mail: waiting, finished and refused. */

export type MessageSearch = Omit<MessageFilter, 'since' | 'until'> & {
  since?: string | undefined
  until?: string | undefined
  limit: number
  cursor?: string | undefined
}

export async function findMessages(call: Call, { limit, cursor, outcome, subject, ...query }: MessageSearch) {
  const before = positionOf(cursor)
  const { items, next, searchedBackTo, complete } = await oneSearch(call, () =>
    call.parts.eventStore.messages({
      ...filterOf(query),
      outcome,
      subject,
      ...limitsOf(call),
      ...(before ? { before } : {}),
      limit,
    }),
  )
  return {
    items: items.map(viewOf),
    nextCursor: next ? cursorOf(positionText(next)) : null,
    searchedBackTo: iso(searchedBackTo),
    complete,
  }
}

function viewOf({ receivedAt, ...message }: LoggedMessage): LoggedMessageView {
  return { ...message, receivedAt: iso(receivedAt) }
}
