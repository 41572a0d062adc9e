import type { LoggedMessageView } from '@postern/contract/views.ts'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { Mails, RotateCw } from 'lucide-react'
import { useMemo, useState } from 'react'
import { Chips } from '../../log/Chips.tsx'
import { FilterForm } from '../../log/FilterForm.tsx'
import { chipsOf, type MessagesSearch, messageFields, parseMessagesSearch, queryOf } from '../../log/filters.ts'
import { useAsOf, useLogSearch } from '../../log/log-search.ts'
import { isCustom, spanOf } from '../../log/range.ts'
import { SavedViews } from '../../log/SavedViews.tsx'
import { SearchStatus } from '../../log/SearchStatus.tsx'
import { StateBadge } from '../../ui/Badge.tsx'
import { IconButton } from '../../ui/Button.tsx'
import { type Column, DataTable } from '../../ui/DataTable.tsx'
import { formatBytes, formatCount, formatTime } from '../../ui/format.ts'
import { Empty, Failure, Page, Panel } from '../../ui/Page.tsx'
import { visibleText } from '../../ui/visible-text.ts'
import { RefusalDialog } from './RefusalDialog.tsx'

/** The range of a search that names none. */
const usual = 'week'

const senderText = (sender: string | undefined): string => {
  if (sender === undefined) return '(none given)'
  return visibleText(sender) || '<> (null sender)'
}

function columnsOf(onRefusal: (message: LoggedMessageView) => void): Column<LoggedMessageView>[] {
  return [
    { id: 'received', header: 'Time', width: '8.5rem', wide: true, cell: ({ receivedAt }) => <When at={receivedAt} /> },
    { id: 'outcome', header: 'Outcome', width: '6rem', cell: ({ outcome }) => <StateBadge state={outcome} /> },
    { id: 'sender', header: 'From', width: 'minmax(7rem,1fr)', cell: (message) => opener(message, onRefusal) },
    {
      id: 'recipients',
      header: 'To',
      width: 'minmax(7rem,1fr)',
      cell: ({ recipients: [first = '', ...others] }) => (
        <span title={visibleText([first, ...others].slice(0, 50).join('\n'))}>
          <bdi>{visibleText(first)}</bdi>
          {others.length > 0 && <span className="text-faint"> +{formatCount(others.length)}</span>}
        </span>
      ),
    },
    { id: 'subject', header: 'Subject', width: 'minmax(0,1.2fr)', wide: true, cell: ({ subject }) => text(subject) },
    { id: 'reply', header: 'Last reply', width: 'minmax(0,1.2fr)', wide: true, cell: (item) => text(item.lastReply) },
    {
      id: 'size',
      header: 'Size',
      width: '5rem',
      align: 'right',
      wide: true,
      cell: ({ size }) => size !== undefined && formatBytes(size),
    },
  ]
}

/** The year is left out if it is this one. */
function When({ at }: { at: string }) {
  const time = formatTime(at)
  return (
    <time dateTime={at} title={at}>
      {time.replace(` ${new Date().getFullYear()},`, '')}
    </time>
  )
}

function text(value = '') {
  const shown = visibleText(value)
  return <bdi title={shown}>{shown}</bdi>
}

/** Refused mail has no message page: its event is shown. */
function opener(message: LoggedMessageView, onRefusal: (message: LoggedMessageView) => void) {
  const sender = <bdi>{senderText(message.sender)}</bdi>
  const look = 'max-w-full truncate text-left text-accent hover:underline'
  if (message.outcome === 'refused')
    return (
      <button type="button" className={look} onClick={() => onRefusal(message)}>
        {sender}
      </button>
    )
  return (
    <Link to="/messages/$id" params={{ id: message.id }} className={look}>
      {sender}
    </Link>
  )
}

/** What became of the mail that somebody sent: a search of all messages, waiting, finished and refused. */
export function Messages() {
  const search = useSearch({ from: '/messages' })
  const navigate = useNavigate()
  const [refusal, setRefusal] = useState<LoggedMessageView | null>(null)
  const { asOf, again } = useAsOf(search)
  const found = useLogSearch<LoggedMessageView>('/v1/messages', {
    ...queryOf(search, messageFields),
    ...spanOf(search, usual, asOf),
  })
  const columns = useMemo(() => columnsOf(setRefusal), [])
  const go = (next: MessagesSearch) => void navigate({ to: '/messages', search: parseMessagesSearch(next) })
  const open = (message: LoggedMessageView) => {
    if (message.outcome === 'refused') setRefusal(message)
    else void navigate({ to: '/messages/$id', params: { id: message.id } })
  }
  return (
    <Page
      title="Messages"
      help="What became of a message: all mail that was accepted or refused."
      actions={
        <>
          <IconButton label="Search again" look="plain" onClick={again}>
            <RotateCw />
          </IconButton>
          <SavedViews page="messages" search={search} onSearch={(view) => go(parseMessagesSearch(view))} />
        </>
      }
    >
      {found.search.error ? <Failure error={found.search.error} onRetry={found.search.further} /> : null}
      <div className="flex flex-col gap-5">
        <Panel flush>
          <FilterForm fields={messageFields} search={search} usual={usual} onSearch={go} />
          <Chips fields={messageFields} search={search} onSearch={go} />
        </Panel>
        <Panel flush>
          <SearchStatus search={found.search} />
          <DataTable
            label="Messages"
            rows={found.rows}
            columns={columns}
            rowId={({ id }) => id}
            loading={found.search.state === 'searching'}
            onOpen={open}
            onEnd={found.onEnd}
            empty={<NoMessages search={search} done={found.search.state === 'done'} />}
          />
        </Panel>
      </div>
      {refusal && <RefusalDialog message={refusal} onClose={() => setRefusal(null)} />}
    </Page>
  )
}

function NoMessages({ search, done }: { search: MessagesSearch; done: boolean }) {
  if (!done) return <Empty icon={Mails} title="No matching messages so far" />
  if (chipsOf(search, messageFields).length > 0 || isCustom(search))
    return (
      <Empty icon={Mails} title="No message matches">
        Remove a filter, or search a longer time.
      </Empty>
    )
  return (
    <Empty icon={Mails} title="No mail in this time">
      Mail appears here when it is accepted or refused.
    </Empty>
  )
}
