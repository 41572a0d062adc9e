import { dkimKeyInputSchema } from '@postern/contract/directory.ts'
import { FileText, Signature } from 'lucide-react'
import { useState } from 'react'
import type { FieldTexts } from '../../form/EntryDialog.tsx'
import { IconButton } from '../../ui/Button.tsx'
import type { Column } from '../../ui/DataTable.tsx'
import { DirectoryPage } from './DirectoryPage.tsx'
import { DkimRecord } from './DkimRecord.tsx'

type KeyView = { id: string; domain: string; selector: string; algorithm: string; dnsName: string; dnsValue: string }

const columns: Column<KeyView>[] = [
  {
    id: 'domain',
    header: 'Domain',
    width: 'minmax(7rem,1fr)',
    cell: (k) => <span className="font-medium">{k.domain}</span>,
  },
  { id: 'algorithm', header: 'Key', width: '6rem', cell: (k) => k.algorithm },
  {
    id: 'name',
    header: 'TXT record',
    width: 'minmax(8rem,2fr)',
    wide: true,
    cell: (k) => <span className="mono select-all">{k.dnsName}</span>,
  },
  {
    id: 'value',
    header: 'Value',
    width: 'minmax(0,2fr)',
    wide: true,
    cell: (k) => (
      <span className="mono select-all" title={k.dnsValue}>
        {k.dnsValue}
      </span>
    ),
  },
]

const words: FieldTexts = {
  selector: { help: 'A DNS label under which you publish the record, e.g. postern1.' },
  algorithm: {
    title: 'Key',
    help: 'All receivers can verify RSA 2048. Ed25519 keys are shorter, but some receivers cannot verify them.',
  },
  headers: {
    help: 'The headers to sign, one per line. From, To, Cc, Subject, Date, Message-ID and Reply-To are protected against later additions. List-Unsubscribe is always signed.',
  },
}

export function DkimKeys() {
  const [open, setOpen] = useState<string | null>(null)
  return (
    <DirectoryPage<KeyView>
      title="DKIM keys"
      noun="DKIM key"
      help="Keys that sign the outgoing mail of a domain. A key signs as soon as you add it, so publish its DNS record at once. The private key never leaves the server."
      icon={Signature}
      path="/v1/dkim-keys"
      columns={columns}
      nameOf={(key) => `${key.selector} of ${key.domain}`}
      schema={dkimKeyInputSchema}
      words={words}
      rowActions={(key) => (
        <IconButton label={`DNS record of ${key.selector} of ${key.domain}`} onClick={() => setOpen(key.id)}>
          <FileText />
        </IconButton>
      )}
      beside={(rows) => {
        const key = rows.find(({ id }) => id === open)
        return key && <DkimRecord {...key} onClose={() => setOpen(null)} />
      }}
      onDeleteSays="Its signatures stay valid while the DNS record exists. Remove the record a few days later."
    />
  )
}
