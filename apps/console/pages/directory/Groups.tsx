import { groupInputSchema } from '@postern/contract/directory.ts'
import { UsersRound } from 'lucide-react'
import type { FieldTexts } from '../../form/EntryDialog.tsx'
import type { Column } from '../../ui/DataTable.tsx'
import { formatCount } from '../../ui/format.ts'
import { DirectoryPage } from './DirectoryPage.tsx'
import type { GroupView } from './types.ts'

const columns: Column<GroupView>[] = [
  {
    id: 'address',
    header: 'Group',
    width: 'minmax(8rem,1fr)',
    cell: (g) => <span className="font-medium">{g.address}</span>,
  },
  { id: 'count', header: 'Members', width: '5rem', align: 'right', cell: (g) => formatCount(g.members.length) },
  {
    id: 'members',
    header: 'Addresses',
    width: 'minmax(0,2fr)',
    wide: true,
    cell: (g) => g.members.slice(0, 20).join(', '),
  },
]

const words: FieldTexts = { members: { help: 'Local or remote addresses, one per line.' } }

export function Groups() {
  return (
    <DirectoryPage<GroupView>
      title="Groups"
      noun="group"
      help="One address for many members. The Security settings say who may write to groups and list their members."
      icon={UsersRound}
      path="/v1/groups"
      columns={columns}
      nameOf={(group) => group.address}
      schema={groupInputSchema}
      editSchema={groupInputSchema}
      words={words}
      onDeleteSays="Mail for this address is then refused, unless an account or the catch-all takes it."
    />
  )
}
