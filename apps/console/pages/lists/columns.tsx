import type { ListName } from '@postern/contract/lists.ts'
import type { ListEntryView } from '@postern/contract/views.ts'
import { Badge } from '../../ui/Badge.tsx'
import type { Column } from '../../ui/DataTable.tsx'
import { Ago } from '../../ui/Time.tsx'

const action: Column<ListEntryView> = {
  id: 'action',
  header: 'Action',
  width: '5rem',
  phone: '3.5rem',
  cell: ({ action: what }) => (
    <Badge tone={what === 'deny' ? 'danger' : what === 'grant' ? 'good' : 'calm'}>{what ?? 'default'}</Badge>
  ),
}

const rest: Column<ListEntryView>[] = [
  {
    id: 'comment',
    header: 'Comment',
    width: 'minmax(0,2fr)',
    wide: true,
    cell: (entry) => entry.comment ?? entry.reason ?? '',
  },
  {
    id: 'expires',
    header: 'Expires',
    width: '7rem',
    phone: '5rem',
    cell: ({ expiresAt }) => (expiresAt ? <Ago at={expiresAt} /> : <span className="text-faint">never</span>),
  },
  { id: 'by', header: 'Added by', width: 'minmax(0,1fr)', wide: true, cell: (entry) => entry.createdBy },
  { id: 'when', header: 'Added', width: '7rem', wide: true, cell: (entry) => <Ago at={entry.createdAt} /> },
]

export function columnsOf(list: ListName): Column<ListEntryView>[] {
  const value: Column<ListEntryView> = {
    id: 'value',
    header: 'Value',
    width: 'minmax(8rem,2fr)',
    cell: (entry) => (
      <span className="mono" title={entry.value}>
        {entry.value}
      </span>
    ),
  }
  return list === 'control-access' ? [value, action, ...rest] : [value, ...rest]
}
