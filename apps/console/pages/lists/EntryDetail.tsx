import { type ListName, lists } from '@postern/contract/lists.ts'
import type { ListEntryView } from '@postern/contract/views.ts'
import { Button } from '../../ui/Button.tsx'
import { Dialog } from '../../ui/Dialog.tsx'
import { Fact, Facts } from '../../ui/Page.tsx'
import { Ago, At } from '../../ui/Time.tsx'

type Props = { entry: ListEntryView; list: ListName; onClose: () => void; onDelete: (() => void) | undefined }

/** All details of an entry: who added it, when, why, and the evidence. */
export function EntryDetail({ entry, list, onClose, onDelete }: Props) {
  return (
    <Dialog
      title={entry.value}
      onClose={onClose}
      footer={
        onDelete && (
          <Button look="danger" onClick={onDelete}>
            Delete
          </Button>
        )
      }
    >
      <Facts>
        <Fact name="List">{lists[list].title}</Fact>
        {list === 'control-access' && <Fact name="Action">{entry.action ?? 'the opposite of the default access'}</Fact>}
        <Fact name="Comment">{entry.comment ?? <span className="text-faint">none</span>}</Fact>
        <Fact name="Expires">
          {entry.expiresAt ? (
            <>
              <At at={entry.expiresAt} /> (<Ago at={entry.expiresAt} />)
            </>
          ) : (
            'never'
          )}
        </Fact>
        <Fact name="Added by">{entry.createdBy}</Fact>
        <Fact name="Added">
          <At at={entry.createdAt} />
        </Fact>
        {entry.reason && <Fact name="Reason">{entry.reason}</Fact>}
        {entry.evidence && entry.evidence.length > 0 && (
          <Fact name="Evidence">
            <ul className="flex flex-col gap-1">
              {entry.evidence.map((line) => (
                <li key={line} className="stranger">
                  {line}
                </li>
              ))}
            </ul>
          </Fact>
        )}
      </Facts>
    </Dialog>
  )
}
