import { type ListName, listNames, lists } from '@postern/contract/lists.ts'
import type { ListEntryView } from '@postern/contract/views.ts'
import { useInfiniteQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { Download, ListX, Upload } from 'lucide-react'
import { useMemo, useState } from 'react'
import { toast } from 'sonner'
import { download } from '../../api/download.ts'
import { explain } from '../../api/problem.ts'
import { pagesQuery } from '../../api/queries.ts'
import { useMay } from '../../api/role.ts'
import { useReview } from '../../review/review.tsx'
import { Button, buttonClass } from '../../ui/Button.tsx'
import { Input } from '../../ui/Controls.tsx'
import { DataTable } from '../../ui/DataTable.tsx'
import { plural } from '../../ui/format.ts'
import { Menu } from '../../ui/Menu.tsx'
import { Empty, Failure, Page, Panel } from '../../ui/Page.tsx'
import { NotFound } from '../NotFound.tsx'
import { AddEntry } from './AddEntry.tsx'
import { columnsOf } from './columns.tsx'
import { DeleteEntries } from './DeleteEntries.tsx'
import { EntryDetail } from './EntryDetail.tsx'
import { ImportDialog } from './ImportDialog.tsx'

export function ListPage() {
  const { list } = useParams({ from: '/lists/$list' })
  const known = listNames.find((name) => name === list)
  return known ? <List key={known} list={known} /> : <NotFound />
}

function List({ list }: { list: ListName }) {
  const { title, help } = lists[list]
  const path = `/v1/lists/${list}`
  const may = useMay('admin')
  const review = useReview()
  const [search, setSearch] = useState('')
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const [importing, setImporting] = useState(false)
  const [deleting, setDeleting] = useState(false)
  const [open, setOpen] = useState<ListEntryView | null>(null)
  const query = useInfiniteQuery(pagesQuery<ListEntryView>(path, { q: search || undefined }, 500))
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data])
  const columns = useMemo(() => columnsOf(list), [list])

  const downloadAs = (format: 'text' | 'csv') => {
    const name = `${list}.${format === 'csv' ? 'csv' : 'txt'}`
    download({ path: `${path}/export`, query: { format } }, name).catch((error) => toast.error(explain(error)))
  }

  async function remove(entry: ListEntryView) {
    try {
      const saved = await review({
        title: `Delete ${entry.value}?`,
        about: 'This list no longer applies to it, from the next SMTP command on.',
        verb: 'Delete',
        look: 'danger',
        request: { method: 'DELETE', path: `${path}/${entry.id}` },
      })
      if (saved) setOpen(null)
    } catch (error) {
      toast.error(explain(error))
    }
  }

  const selected = rows.filter((row) => chosen.has(row.id))
  return (
    <Page
      title={title}
      help={<ListHelp list={list} help={help} />}
      needs={{ role: 'admin', to: 'change the lists' }}
      actions={
        <>
          {may && (
            <Button onClick={() => setImporting(true)}>
              <Upload aria-hidden="true" /> Import
            </Button>
          )}
          <Menu
            trigger={
              <button type="button" className={buttonClass()}>
                <Download aria-hidden="true" /> Export
              </button>
            }
            items={[
              { label: 'As text, one value per line', onChoose: () => downloadAs('text') },
              { label: 'As CSV, with all fields', onChoose: () => downloadAs('csv') },
            ]}
          />
        </>
      }
    >
      {may && <AddEntry list={list} />}
      {query.error ? <Failure error={query.error} onRetry={() => void query.refetch()} /> : null}
      <Panel flush>
        <div className="flex min-h-12 flex-wrap items-center gap-3 border-line border-b p-2">
          <Input
            type="search"
            aria-label={`Search ${title}`}
            placeholder="Search value, comment, reason"
            value={search}
            onChange={(event) => setSearch(event.target.value)}
            className="w-full max-w-xs"
          />
          {selected.length > 0 && (
            <Button look="danger" onClick={() => setDeleting(true)}>
              Delete {plural(selected.length, 'entry', 'entries')}
            </Button>
          )}
        </div>
        <DataTable
          label={title}
          rows={rows}
          columns={columns}
          rowId={(row) => row.id}
          loading={query.isPending}
          {...(may ? { selected: chosen, onSelect: setChosen } : {})}
          onOpen={setOpen}
          opener="value"
          onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
          empty={
            <Empty icon={ListX} title={search ? `Nothing matches “${search}”` : `The ${title} is empty`}>
              {search ? 'Try a shorter search.' : may ? 'Add an entry above, or import a file.' : null}
            </Empty>
          }
        />
      </Panel>
      {open && (
        <EntryDetail
          entry={open}
          list={list}
          onClose={() => setOpen(null)}
          onDelete={may ? () => void remove(open) : undefined}
        />
      )}
      {deleting && selected.length > 0 && (
        <DeleteEntries
          list={list}
          entries={selected}
          onClose={() => setDeleting(false)}
          onDone={() => {
            setDeleting(false)
            setChosen(new Set())
          }}
        />
      )}
      {importing && <ImportDialog list={list} onClose={() => setImporting(false)} />}
    </Page>
  )
}

function ListHelp({ list, help }: { list: ListName; help: string }) {
  if (list !== 'control-access') return help
  return (
    <>
      {help} Clients without an entry follow{' '}
      <Link to="/settings/$group" params={{ group: 'security' }} className="text-accent underline">
        Default access
      </Link>
      .
    </>
  )
}
