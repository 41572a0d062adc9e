import { aliasInputSchema } from '@postern/contract/directory.ts'
import { AtSign } from 'lucide-react'
import type { FieldTexts } from '../../form/EntryDialog.tsx'
import type { Column } from '../../ui/DataTable.tsx'
import { DirectoryPage } from './DirectoryPage.tsx'
import type { AliasView } from './types.ts'

const columns: Column<AliasView>[] = [
  {
    id: 'address',
    header: 'Alias',
    width: 'minmax(8rem,1fr)',
    cell: (a) => <span className="font-medium">{a.address}</span>,
  },
  { id: 'to', header: 'Goes to', width: 'minmax(8rem,2fr)', cell: (a) => a.to.join(', ') },
]

const words: FieldTexts = { to: { title: 'Goes to', help: 'Local or remote addresses, one per line.' } }

export function Aliases() {
  return (
    <DirectoryPage<AliasView>
      title="Aliases"
      noun="alias"
      help="Other names for one or more addresses."
      icon={AtSign}
      path="/v1/aliases"
      columns={columns}
      nameOf={(alias) => alias.address}
      schema={aliasInputSchema}
      editSchema={aliasInputSchema}
      words={words}
      onDeleteSays="Mail for this address is then refused, unless an account or the catch-all takes it."
    />
  )
}
