import { daysLeft } from '@postern/contract/certificates.ts'
import { Badge } from '../../ui/Badge.tsx'
import { Button } from '../../ui/Button.tsx'
import { TextArea } from '../../ui/Controls.tsx'
import { Dialog } from '../../ui/Dialog.tsx'
import { formatTime, plural } from '../../ui/format.ts'
import { Fact, Facts } from '../../ui/Page.tsx'
import { Ago, At } from '../../ui/Time.tsx'
import type { CertificateView } from './types.ts'

const sources = {
  upload: 'uploaded',
  'self-signed': 'self-signed, created here',
  csr: 'signed from a request of this server; the key was created here',
  acme: 'ACME',
}

type Props = {
  certificate: CertificateView
  onClose: () => void
  /** Absent: the user lacks the permission. */
  onReplace?: (() => void) | undefined
  onRenew?: (() => void) | undefined
}

/** All details of a certificate except its key. */
export function CertificateDetail({ certificate: c, onClose, onReplace, onRenew }: Props) {
  const replaces = c.source.type === 'upload' || c.source.type === 'csr'
  return (
    <Dialog
      title={c.name}
      size="wide"
      onClose={onClose}
      footer={
        <>
          {replaces && onReplace && (
            <Button look="primary" onClick={onReplace}>
              {c.source.type === 'csr' ? 'Upload the signed certificate' : 'Replace'}
            </Button>
          )}
          {!replaces && onRenew && (
            <Button look="primary" onClick={onRenew}>
              Renew now
            </Button>
          )}
        </>
      }
    >
      <Facts>
        <Fact name="State">
          <State certificate={c} />
        </Fact>
        {c.trouble && (
          <Fact name="Last order">
            <span className="stranger text-danger">{c.trouble}</span>
            {c.nextTryAt && (
              <span className="block text-soft">
                Next attempt: <At at={c.nextTryAt} />
              </span>
            )}
          </Fact>
        )}
        <Fact name="Names">{c.names.join(', ')}</Fact>
        <Fact name="Shown for">
          {c.shownFor.length > 0 ? c.shownFor.join(', ') : <span className="text-faint">no name</span>}
          {c.isDefault && ', and clients that ask for no name or an unknown one'}
        </Fact>
        <Fact name="Source">
          {sources[c.source.type]}
          {c.source.type === 'acme' && <span className="mono block text-soft">{c.source.directoryUrl}</span>}
        </Fact>
        {c.key && <Fact name="Key">{c.key}</Fact>}
        {c.issuer && <Fact name="Issued by">{c.issuer}</Fact>}
        {c.notBefore && c.notAfter && (
          <Fact name="Valid">
            <At at={c.notBefore} /> to <At at={c.notAfter} /> (<Ago at={c.notAfter} />)
          </Fact>
        )}
        {c.fingerprint && (
          <Fact name="SHA-256">
            <span className="mono break-all">{c.fingerprint}</span>
          </Fact>
        )}
      </Facts>
      {c.csr && (
        <div className="mt-4 flex flex-col gap-1.5">
          <label htmlFor="csr" className="font-medium text-sm text-soft">
            Signing request
          </label>
          <TextArea id="csr" readOnly rows={8} value={c.csr} className="mono w-full" />
          <p className="text-faint text-xs">Send this request to the authority. It does not contain the private key.</p>
        </div>
      )}
    </Dialog>
  )
}

/** The remaining lifetime of a certificate, or what it waits for. Problems are shown in red. */
export function State({ certificate: { state, trouble, notAfter } }: { certificate: CertificateView }) {
  if (state === 'expired') return <Badge tone="danger">expired</Badge>
  if (state === 'unsigned') return <Badge tone="info">not signed yet</Badge>
  if (state === 'ordered')
    return trouble ? <Badge tone="danger">order failed</Badge> : <Badge tone="info">ordered</Badge>
  const days = daysLeft(notAfter ?? '', Date.now())
  return (
    <Badge tone={days < 3 ? 'danger' : days < 30 || trouble ? 'warn' : 'calm'} title={formatTime(notAfter ?? '')}>
      in {plural(days, 'day')}
    </Badge>
  )
}
