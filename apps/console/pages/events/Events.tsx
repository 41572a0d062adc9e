import { eventTypeNames, eventTypes } from '@postern/contract/events.ts'
import type { RecordedEvent } from '@postern/contract/views.ts'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { Activity, Pause, Play } from 'lucide-react'
import { type FormEvent, useEffect, useMemo, useState } from 'react'
import { pagesQuery, workersQuery } from '../../api/queries.ts'
import { Badge } from '../../ui/Badge.tsx'
import { Button } from '../../ui/Button.tsx'
import { Input, Select } from '../../ui/Controls.tsx'
import { type Column, DataTable } from '../../ui/DataTable.tsx'
import { formatCount } from '../../ui/format.ts'
import { LabelledField } from '../../ui/LabelledField.tsx'
import { Empty, Failure, Page, Panel } from '../../ui/Page.tsx'
import { visibleText } from '../../ui/visible-text.ts'
import { EventDialog } from './EventDialog.tsx'
import { LogNotStored } from './LogNotStored.tsx'
import type { EventsSearch } from './search.ts'
import { useTail } from './tail.ts'
import { toneOfEvent } from './tone.ts'

const clock = (at: string): string => `${new Date(at).toTimeString().slice(0, 8)}.${at.slice(20, 23)}`

const columns: Column<RecordedEvent>[] = [
  {
    id: 'at',
    header: 'Time',
    width: '6.5rem',
    cell: (event) => (
      <time dateTime={event.at} title={event.at} className="mono text-soft">
        {clock(event.at)}
      </time>
    ),
  },
  {
    id: 'worker',
    header: 'Worker',
    width: '5rem',
    wide: true,
    cell: (event) => <span className="mono">{event.worker}</span>,
  },
  {
    id: 'title',
    header: 'What',
    width: 'minmax(7rem,13rem)',
    phone: '6.5rem',
    cell: (event) => <Badge tone={toneOfEvent(event.type)}>{event.title}</Badge>,
  },
  {
    id: 'text',
    header: 'Event',
    width: 'minmax(0,1fr)',
    cell: (event) => <bdi title={event.text}>{visibleText(event.text)}</bdi>,
  },
]

export function Events() {
  const filter = useSearch({ from: '/events' })
  const [paused, setPaused] = useState(false)
  const [open, setOpen] = useState<RecordedEvent | null>(null)
  const tail = useTail(filter, paused)
  const query = useInfiniteQuery(pagesQuery<RecordedEvent>('/v1/events', { ...filter }))
  const rows = useMemo(() => {
    const past = query.data?.pages.flatMap((page) => page.items) ?? []
    const seen = new Set(tail.events.map(({ id }) => id))
    return [...tail.events, ...past.filter(({ id }) => !seen.has(id))]
  }, [tail.events, query.data])
  const filtered = Object.values(filter).some(Boolean)
  return (
    <Page
      title="Events"
      help="What the workers decide and do, live."
      actions={
        <>
          <span role="status" className="flex h-8 items-center gap-2 text-sm text-soft">
            <span aria-hidden="true" className={`size-2 rounded-full ${tail.connected ? 'bg-accent' : 'bg-warn'}`} />
            {tail.connected ? (paused ? `Paused, ${formatCount(tail.waiting)} new` : 'Live') : 'Connecting …'}
          </span>
          <Button onClick={() => setPaused(!paused)} aria-pressed={paused}>
            {paused ? <Play aria-hidden="true" /> : <Pause aria-hidden="true" />}
            {paused ? 'Resume' : 'Pause'}
          </Button>
        </>
      }
    >
      {query.error ? <Failure error={query.error} onRetry={() => void query.refetch()} /> : null}
      <LogNotStored />
      <Panel flush>
        <Filters />
        <DataTable
          label="Events"
          rows={rows}
          columns={columns}
          rowId={(event) => event.id}
          loading={query.isPending}
          onOpen={setOpen}
          opener="title"
          onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
          empty={
            <Empty icon={Activity} title={filtered ? 'No matching events' : 'No events yet'}>
              {filtered ? 'Remove a filter to see more.' : 'Send a message to the SMTP port to see its events here.'}
            </Empty>
          }
        />
      </Panel>
      {open && <EventDialog event={open} onClose={() => setOpen(null)} />}
    </Page>
  )
}

function Filters() {
  const filter = useSearch({ from: '/events' })
  const navigate = useNavigate()
  const workers = useQuery(workersQuery())
  const [text, setText] = useState(filter.q ?? '')
  useEffect(() => setText(filter.q ?? ''), [filter.q])
  const go = (change: EventsSearch) => {
    const next = Object.entries({ ...filter, ...change }).filter(([, value]) => value)
    void navigate({ to: '/events', search: Object.fromEntries(next) as EventsSearch, replace: true })
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    go({ q: text })
  }
  return (
    <form onSubmit={submit} aria-label="Filters" className="flex flex-wrap items-end gap-3 border-line border-b p-3">
      <LabelledField label="Text" className="min-w-48 flex-1">
        {(wiring) => (
          <Input
            {...wiring}
            type="search"
            placeholder="Address, reply, message id …"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        )}
      </LabelledField>
      <LabelledField label="Type" className="w-44">
        {(wiring) => (
          <Select {...wiring} value={filter.type ?? ''} onChange={(event) => go({ type: event.target.value })}>
            <option value="">all</option>
            {eventTypeNames.map((type) => (
              <option key={type} value={type}>
                {eventTypes[type].title}
              </option>
            ))}
          </Select>
        )}
      </LabelledField>
      <LabelledField label="Worker" className="w-32">
        {(wiring) => (
          <Select {...wiring} value={filter.worker ?? ''} onChange={(event) => go({ worker: event.target.value })}>
            <option value="">all</option>
            {(workers.data ?? []).map(({ id }) => (
              <option key={id} value={id}>
                {id}
              </option>
            ))}
          </Select>
        )}
      </LabelledField>
      <Button type="submit">Search</Button>
    </form>
  )
}
