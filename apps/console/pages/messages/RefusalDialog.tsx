import type { LoggedMessageView, Page, RecordedEvent } from '@postern/contract/views.ts'
import { useQuery } from '@tanstack/react-query'
import { call } from '../../api/client.ts'
import { Dialog } from '../../ui/Dialog.tsx'
import { Failure, Loading } from '../../ui/Page.tsx'
import { visibleText } from '../../ui/visible-text.ts'
import { EventDialog } from '../events/EventDialog.tsx'

const most = 1000

/** The event that refused mail. It is looked for in its millisecond, because events are not read by id. */
export function RefusalDialog({ message, onClose }: { message: LoggedMessageView; onClose: () => void }) {
  const { id, receivedAt } = message
  const query = useQuery({
    queryKey: ['refusal', id],
    queryFn: async ({ signal }) => {
      const until = new Date(Date.parse(receivedAt) + 1).toISOString()
      const [worker] = id.split(':')
      const asked = { since: receivedAt, until, worker, limit: most }
      const { items } = await call<Page<RecordedEvent>>({ path: '/v1/events', query: asked, signal })
      return items.find((event) => event.id === id.replaceAll(':', '.')) ?? null
    },
    staleTime: Number.POSITIVE_INFINITY,
  })
  if (query.data) return <EventDialog event={query.data} search={{}} onClose={onClose} />
  return (
    <Dialog title="Refused" onClose={onClose}>
      {query.isPending && <Loading rows={3} />}
      {query.error && <Failure error={query.error} onRetry={() => void query.refetch()} />}
      {query.data === null && (
        <>
          <p className="text-sm">The settings keep this event out of the log. The client got this reply:</p>
          <p className="stranger mt-2 rounded bg-sunken px-2.5 py-1.5 text-sm">
            {visibleText(message.lastReply ?? '')}
          </p>
        </>
      )}
    </Dialog>
  )
}
