import { BadgeCheck, Info, Plus } from 'lucide-react'
import { useState } from 'react'
import { toast } from 'sonner'
import { ApiProblem, explain } from '../../api/problem.ts'
import { useMay } from '../../api/role.ts'
import { EntryDialog } from '../../form/EntryDialog.tsx'
import { useReview } from '../../review/review.tsx'
import { buttonClass, IconButton } from '../../ui/Button.tsx'
import type { Column } from '../../ui/DataTable.tsx'
import { Menu } from '../../ui/Menu.tsx'
import { CertificateDetail, State } from './CertificateDetail.tsx'
import { pemWords, type SourceForm, signedSchema, sourceForms, uploadSchema } from './certificate-sources.ts'
import { DirectoryPage } from './DirectoryPage.tsx'
import { type CertificateView, certificatesPath } from './types.ts'

const columns: Column<CertificateView>[] = [
  {
    id: 'name',
    header: 'Certificate',
    width: 'minmax(7rem,1fr)',
    cell: (c) => <span className="font-medium">{c.name}</span>,
  },
  { id: 'names', header: 'For', width: 'minmax(8rem,2fr)', cell: (c) => c.names.join(', ') },
  { id: 'source', header: 'Source', width: '6rem', wide: true, cell: (c) => c.source.type },
  { id: 'expiry', header: 'Expires', width: '8rem', cell: (c) => <State certificate={c} /> },
  { id: 'used', header: 'Used', width: '7rem', wide: true, cell: usedWhere },
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

function usedWhere({ isDefault, shownFor }: CertificateView) {
  if (isDefault) return 'by default'
  return shownFor.length > 0 ? 'by name' : <span className="text-faint">no</span>
}

type Open = { way: SourceForm } | { detail: string } | { replace: CertificateView }

export function Certificates() {
  const review = useReview()
  const may = useMay('admin')
  const [open, setOpen] = useState<Open | null>(null)
  const close = () => setOpen(null)

  async function make(way: SourceForm, value: Record<string, unknown>): Promise<boolean> {
    const request = { method: 'POST' as const, path: certificatesPath, body: way.body(value) }
    try {
      return (await review({ title: 'New certificate', request })) !== null
    } catch (error) {
      throw inForm(error)
    }
  }

  async function renew(certificate: CertificateView) {
    close()
    try {
      await review({
        title: `Renew ${certificate.name}?`,
        about:
          'Creates a new certificate with a new key. New connections use it at once; open sessions are not affected.',
        verb: 'Renew',
        request: { method: 'POST', path: `${certificatesPath}/${certificate.id}/renew` },
      })
    } catch (error) {
      toast.error(explain(error))
    }
  }

  return (
    <>
      <DirectoryPage<CertificateView>
        title="Certificates"
        noun="certificate"
        help="Each client gets the certificate for the name it asks for. New connections use a new certificate at once; open sessions are not affected."
        icon={BadgeCheck}
        path={certificatesPath}
        columns={columns}
        nameOf={(certificate) => certificate.name}
        schema={signedSchema}
        onDeleteSays="Clients that ask for its names get another certificate, or no TLS at all if it was the last one. Open sessions continue."
        newButton={
          <Menu
            trigger={
              <button type="button" className={buttonClass('primary')}>
                <Plus aria-hidden="true" /> New certificate
              </button>
            }
            items={sourceForms.map((way) => ({ label: way.label, onChoose: () => setOpen({ way }) }))}
          />
        }
        rowActions={(certificate) => (
          <IconButton label={`Details of ${certificate.name}`} onClick={() => setOpen({ detail: certificate.id })}>
            <Info />
          </IconButton>
        )}
        beside={(rows) => {
          const certificate = open && 'detail' in open ? rows.find(({ id }) => id === open.detail) : undefined
          return (
            certificate && (
              <CertificateDetail
                certificate={certificate}
                onClose={close}
                onReplace={may ? () => setOpen({ replace: certificate }) : undefined}
                onRenew={may ? () => void renew(certificate) : undefined}
              />
            )
          )
        }}
      />
      {open && 'way' in open && (
        <EntryDialog
          title={`New certificate: ${open.way.label}`}
          note={open.way.note}
          schema={open.way.schema}
          words={open.way.words}
          onSave={(value) => make(open.way, value)}
          onClose={close}
        />
      )}
      {open && 'replace' in open && (
        <EntryDialog
          title={`Replace ${open.replace.name}`}
          schema={open.replace.source.type === 'csr' ? signedSchema : uploadSchema}
          words={pemWords}
          onSave={async (body) => {
            const path = `${certificatesPath}/${open.replace.id}`
            const request = { method: 'PATCH' as const, path, body }
            return (await review({ title: `Replace ${open.replace.name}`, request })) !== null
          }}
          onClose={close}
        />
      )}
    </>
  )
}

/** Maps errors to the form, which shows the fields of `source` next to the name. */
function inForm(error: unknown): unknown {
  if (!(error instanceof ApiProblem)) return error
  const errors = error.errors.map(({ path, message }) => ({ path: path.replace(/^source\./, ''), message }))
  return new ApiProblem({ status: error.status, title: error.title, detail: error.message, errors })
}
