import { Button } from '../../ui/Button.tsx'
import { Dialog } from '../../ui/Dialog.tsx'
import { plural } from '../../ui/format.ts'

type Props = { changes: number; onStay: () => void; onLeave: () => void }

export function LeaveDialog({ changes, onStay, onLeave }: Props) {
  return (
    <Dialog
      title="Leave without saving?"
      onClose={onStay}
      footer={
        <>
          <Button look="quiet" onClick={onLeave}>
            Leave and discard
          </Button>
          <Button look="primary" onClick={onStay}>
            Stay
          </Button>
        </>
      }
    >
      <p className="text-sm">{plural(changes, 'change')} on this page will be lost.</p>
    </Dialog>
  )
}
