import { domainInputSchema } from '@postern/contract/directory.ts'
import { Globe } from 'lucide-react'
import type { FieldTexts } from '../../form/EntryDialog.tsx'
import type { Column } from '../../ui/DataTable.tsx'
import { DirectoryPage } from './DirectoryPage.tsx'
import type { DomainView } from './types.ts'

const columns: Column<DomainView>[] = [
  {
    id: 'name',
    header: 'Domain',
    width: 'minmax(9rem,1fr)',
    cell: (d) => <span className="font-medium">{d.name}</span>,
  },
  { id: 'route', header: 'Route', width: 'minmax(7rem,1fr)', cell: (d) => routeText(d.route) },
  { id: 'aliases', header: 'Domain aliases', width: 'minmax(0,1fr)', wide: true, cell: (d) => d.aliases.join(', ') },
  { id: 'catchAll', header: 'Catch-all', width: 'minmax(0,1fr)', wide: true, cell: (d) => d.catchAll },
]

function routeText(route: DomainView['route']): string {
  switch (route.type) {
    case 'lmtp':
    case 'smtp':
      return `${route.type} ${route.host}:${route.port}`
    case 'webhook':
      return `webhook ${route.url}`
    case 's3':
      return `s3 ${route.bucket}/${route.prefix}`
    default:
      return route.type
  }
}

const words: FieldTexts = {
  name: { title: 'Domain', help: 'Mail to known users of this domain is accepted.' },
  aliases: { title: 'Domain aliases', help: 'Other names of the domain: jane@alias means jane@name.' },
  catchAll: {
    title: 'Catch-all',
    help: 'The address that gets mail for unknown users. Empty: such mail is refused with 550 5.1.1.',
  },
  route: {
    help: 'Where mail is delivered. maildir: mailboxes on this machine. lmtp, smtp: a host. webhook: a signed HTTP POST. s3: an object in a bucket. discard: nowhere.',
  },
}

export function Domains() {
  return (
    <DirectoryPage<DomainView>
      title="Domains"
      noun="domain"
      help="The domains whose mail this server accepts, and where it delivers it."
      icon={Globe}
      path="/v1/domains"
      columns={columns}
      nameOf={(domain) => domain.name}
      schema={domainInputSchema}
      editSchema={domainInputSchema}
      words={words}
      onDeleteSays="Mail to this domain becomes remote: it is relayed if the client may relay, else refused. Queued mail is routed by MX."
    />
  )
}
