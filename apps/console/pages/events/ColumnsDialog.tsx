import { Button } from '../../ui/Button.tsx'
import { Checkbox } from '../../ui/Controls.tsx'
import { Dialog } from '../../ui/Dialog.tsx'
import { columnChoices } from './columns.tsx'

type Props = { chosen: readonly string[]; onChange: (chosen: string[]) => void; onClose: () => void }

/** Chooses the columns of the table. They are part of the URL. */
export function ColumnsDialog({ chosen, onChange, onClose }: Props) {
  const change = (id: string, shown: boolean) =>
    onChange(columnChoices.map((choice) => choice.id).filter((one) => (one === id ? shown : chosen.includes(one))))
  return (
    <Dialog
      title="Columns"
      onClose={onClose}
      footer={
        <Button look="primary" onClick={onClose}>
          Done
        </Button>
      }
    >
      <div className="grid grid-cols-2 gap-2">
        {columnChoices.map(({ id, label }) => (
          <Checkbox
            key={id}
            label={label}
            checked={chosen.includes(id)}
            onChange={(event) => change(id, event.target.checked)}
          />
        ))}
      </div>
      <p className="mt-3 text-faint text-xs sm:hidden">A phone has room for the time only.</p>
    </Dialog>
  )
}
