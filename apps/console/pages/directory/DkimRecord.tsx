import { Copy } from 'lucide-react'
import { toast } from 'sonner'
import { Button } from '../../ui/Button.tsx'
import { TextArea } from '../../ui/Controls.tsx'
import { Dialog } from '../../ui/Dialog.tsx'
import { LabelledField } from '../../ui/LabelledField.tsx'

type Props = { domain: string; dnsName: string; dnsValue: string; onClose: () => void }

/** The complete record to publish, for copying into a zone or a registrar's form. */
export function DkimRecord({ domain, dnsName, dnsValue, onClose }: Props) {
  return (
    <Dialog title={`DNS record of ${domain}`} size="wide" onClose={onClose}>
      <p className="mb-4 text-soft text-sm">
        Publish it as a TXT record. Until then, receivers cannot verify the signatures.
      </p>
      <div className="flex flex-col gap-4">
        <Copied label="Name" text={dnsName} rows={1} />
        <Copied label="Value" text={dnsValue} rows={5} />
      </div>
    </Dialog>
  )
}

function Copied({ label, text, rows }: { label: string; text: string; rows: number }) {
  const copy = () =>
    navigator.clipboard
      .writeText(text)
      .then(() => toast.success(`${label} copied`))
      .catch(() => toast.error('The browser does not allow copying. Select the text and copy it.'))
  return (
    <div className="flex items-end gap-2">
      <LabelledField label={label} className="flex-1">
        {(wiring) => (
          <TextArea
            {...wiring}
            readOnly
            rows={rows}
            value={text}
            onFocus={(event) => event.target.select()}
            className="mono min-h-9! w-full break-all"
          />
        )}
      </LabelledField>
      <Button aria-label={`Copy ${label.toLowerCase()}`} onClick={() => void copy()}>
        <Copy aria-hidden="true" /> Copy
      </Button>
    </div>
  )
}
