import { certificateInputSchema } from '@postern/contract/directory.ts'
import { BadgeCheck } from 'lucide-react'
import type { Words } from '../../form/EntryDialog.tsx'
import { Badge } from '../../ui/Badge.tsx'
import type { Column } from '../../ui/DataTable.tsx'
import { formatTime, plural } from '../../ui/format.ts'
import { DirectoryPage } from './DirectoryPage.tsx'
import type { CertificateView } from './shapes.ts'

const columns: Column<CertificateView>[] = [
  {
    id: 'name',
    header: 'Certificate',
    width: 'minmax(7rem,1fr)',
    cell: (c) => <span className="font-medium">{c.name}</span>,
  },
  { id: 'names', header: 'For', width: 'minmax(8rem,2fr)', cell: (c) => c.names.join(', ') },
  { id: 'expiry', header: 'Expires', width: '8rem', cell: (c) => <Expiry at={c.notAfter} /> },
  {
    id: 'fingerprint',
    header: 'Fingerprint',
    width: 'minmax(0,1fr)',
    wide: true,
    cell: (c) => (
      <span className="mono" title={c.fingerprint}>
        {c.fingerprint}
      </span>
    ),
  },
]

function Expiry({ at }: { at: string }) {
  const days = Math.floor((Date.parse(at) - Date.now()) / 86_400_000)
  if (days < 0) return <Badge tone="danger">expired</Badge>
  return (
    <Badge tone={days <= 3 ? 'danger' : days <= 30 ? 'warn' : 'calm'} title={formatTime(at)}>
      in {plural(days, 'day')}
    </Badge>
  )
}

const words: Words = {
  name: { help: 'A name of your own, to tell it from others.' },
  certificate: { help: 'PEM: the leaf first, then the intermediates. Its names and dates are read from it.' },
  privateKey: { help: 'PEM. Write-only: it is encrypted, and never shown again.' },
}

export function Certificates() {
  return (
    <DirectoryPage<CertificateView>
      title="Certificates"
      noun="certificate"
      help="Chosen by the name the client asks for. A new one is used from the next handshake on; open sessions live on."
      icon={BadgeCheck}
      path="/v1/certificates"
      columns={columns}
      nameOf={(certificate) => certificate.name}
      schema={certificateInputSchema}
      words={words}
      onDeleteSays="Clients that ask for its names get another certificate, or no TLS at all when it was the last one. Open sessions live on."
    />
  )
}
