import type { RecordedEvent } from '@postern/contract/views.ts'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { Activity, Columns3, Pause, Play, RotateCw } from 'lucide-react'
import { useMemo, useState } from 'react'
import type { Query } from '../../api/client.ts'
import { Chips } from '../../log/Chips.tsx'
import { FilterForm } from '../../log/FilterForm.tsx'
import { canFollow, chipsOf, type EventsSearch, eventFields, parseEventsSearch, queryOf } from '../../log/filters.ts'
import { useAsOf, useLogSearch } from '../../log/log-search.ts'
import { isCustom, spanOf } from '../../log/range.ts'
import { SavedViews } from '../../log/SavedViews.tsx'
import { SearchStatus } from '../../log/SearchStatus.tsx'
import { Button, IconButton } from '../../ui/Button.tsx'
import { DataTable } from '../../ui/DataTable.tsx'
import { formatCount } from '../../ui/format.ts'
import { Empty, Failure, Page, Panel } from '../../ui/Page.tsx'
import { ColumnsDialog } from './ColumnsDialog.tsx'
import { Counts } from './Counts.tsx'
import { chosenColumns, columnsOf, columnsText } from './columns.tsx'
import { EventDialog } from './EventDialog.tsx'
import { ExportMenu } from './ExportMenu.tsx'
import { LogNotStored } from './LogNotStored.tsx'
import { useTail } from './tail.ts'

/** The range of a search that names none. */
const usual = 'day'

export function Events() {
  const search = useSearch({ from: '/events' })
  const navigate = useNavigate()
  const [open, setOpen] = useState<RecordedEvent | null>(null)
  const [choosing, setChoosing] = useState(false)
  const { by: _by, columns: _columns, ...filter } = search
  const { asOf, again } = useAsOf(filter)
  const span = spanOf(filter, usual, asOf)
  const texts = queryOf(filter, eventFields)
  const query = { ...texts, ...span }
  const found = useLogSearch<RecordedEvent>('/v1/events', query)
  const follows = canFollow(search)
  /** The time of the newest event shown when the user paused; `null` while live. */
  const [pausedAt, setPausedAt] = useState<string | null>(null)
  const paused = pausedAt !== null
  const tail = useTail(follows ? texts : null, paused)
  const all = useMemo(() => {
    const seen = new Set(tail.events.map(({ id }) => id))
    return [...tail.events, ...found.rows.filter(({ id }) => !seen.has(id))]
  }, [tail.events, found.rows])
  // A search that answers during a pause has found newer events too. They are shown with those that the pause held back.
  const rows = useMemo(() => (pausedAt === null ? all : all.filter(({ at }) => at <= pausedAt)), [all, pausedAt])
  const columns = useMemo(() => columnsOf(search), [search])
  const pause = (on: boolean) => setPausedAt(on ? (rows[0]?.at ?? new Date(asOf).toISOString()) : null)
  const go = (next: EventsSearch) => void navigate({ to: '/events', search: parseEventsSearch(next) })
  return (
    <Page
      title="Events"
      help="What the workers decide and do, live and back in time."
      actions={
        <>
          {follows && <Live tail={tail} paused={paused} onPause={pause} />}
          <IconButton label="Search again" look="plain" onClick={again}>
            <RotateCw />
          </IconButton>
          <SavedViews page="events" search={search} onSearch={(view) => go(parseEventsSearch(view))} />
          <ExportMenu query={query} />
        </>
      }
    >
      {found.search.error ? <Failure error={found.search.error} onRetry={found.search.further} /> : null}
      <LogNotStored />
      <div className="flex flex-col gap-5">
        <Panel flush>
          <FilterForm fields={eventFields} search={search} usual={usual} onSearch={go} />
          <Chips fields={eventFields} search={search} onSearch={go} />
        </Panel>
        <Counts search={search} query={texts} span={span} asOf={asOf} />
        <Panel
          flush
          title="Newest first"
          aside={
            <Button look="quiet" onClick={() => setChoosing(true)}>
              <Columns3 aria-hidden="true" /> Columns
            </Button>
          }
        >
          <SearchStatus search={found.search} />
          <DataTable
            label="Events"
            rows={rows}
            columns={columns}
            rowId={(event) => event.id}
            loading={found.search.state === 'searching'}
            onOpen={setOpen}
            opener="title"
            onEnd={found.onEnd}
            empty={<NoEvents search={search} done={found.search.state === 'done'} query={texts} />}
          />
        </Panel>
      </div>
      {open && <EventDialog event={open} search={search} onClose={() => setOpen(null)} />}
      {choosing && (
        <ColumnsDialog
          chosen={chosenColumns(search)}
          onChange={(chosen) => go({ ...search, columns: columnsText(chosen) })}
          onClose={() => setChoosing(false)}
        />
      )}
    </Page>
  )
}

type LiveProps = { tail: ReturnType<typeof useTail>; paused: boolean; onPause: (paused: boolean) => void }

function Live({ tail: { connected, waiting }, paused, onPause }: LiveProps) {
  return (
    <>
      <span role="status" className="flex h-8 items-center gap-2 text-sm text-soft">
        <span aria-hidden="true" className={`size-2 rounded-full ${connected ? 'bg-accent' : 'bg-warn'}`} />
        {connected ? (paused ? `Paused, ${formatCount(waiting)} new` : 'Live') : 'Connecting …'}
      </span>
      <Button onClick={() => onPause(!paused)} aria-pressed={paused}>
        {paused ? <Play aria-hidden="true" /> : <Pause aria-hidden="true" />}
        {paused ? 'Resume' : 'Pause'}
      </Button>
    </>
  )
}

function NoEvents({ search, query, done }: { search: EventsSearch; query: Query; done: boolean }) {
  const filtered = chipsOf(query, eventFields).length > 0 || isCustom(search)
  if (!done) return <Empty icon={Activity} title="No matching events so far" />
  if (filtered)
    return (
      <Empty icon={Activity} title="No matching events">
        Remove a filter, or search a longer time.
      </Empty>
    )
  return (
    <Empty icon={Activity} title="No events in this time">
      Send a message to the SMTP port to see its events here.
    </Empty>
  )
}
