import { type ListName, lists } from '@postern/contract/lists.ts'
import type { ListEntryView, WriteResult } from '@postern/contract/views.ts'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useId, useState } from 'react'
import { toast } from 'sonner'
import { call } from '../../api/client.ts'
import { explain } from '../../api/problem.ts'
import { followRollout } from '../../shell/rollout.ts'
import { Button } from '../../ui/Button.tsx'
import { asksCount, ConfirmCount, isCount } from '../../ui/ConfirmCount.tsx'
import { Input } from '../../ui/Controls.tsx'
import { Dialog } from '../../ui/Dialog.tsx'
import { plural } from '../../ui/format.ts'
import { LabelledField } from '../../ui/LabelledField.tsx'

type Props = { list: ListName; entries: readonly ListEntryView[]; onClose: () => void; onDone: () => void }

/**
 * Deletes several entries at once. They are all listed, with one comment and one confirmation. Each deletion is its own
 * revision.
 */
export function DeleteEntries({ list, entries, onClose, onDone }: Props) {
  const client = useQueryClient()
  const form = useId()
  const [comment, setComment] = useState('')
  const [gone, setGone] = useState(0)
  const [typed, setTyped] = useState('')
  const mustType = asksCount(entries.length)
  const remove = useMutation({
    mutationFn: async () => {
      for (const [i, entry] of entries.slice(gone).entries()) {
        const { revision } = await call<WriteResult>({
          method: 'DELETE',
          path: `/v1/lists/${list}/${entry.id}`,
          query: { comment: comment.trim() || undefined },
        })
        setGone(gone + i + 1)
        followRollout(revision)
      }
    },
    onSuccess: () => {
      toast.success(`${plural(entries.length, 'entry', 'entries')} deleted`)
      onDone()
    },
    onSettled: () => client.invalidateQueries(),
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    remove.mutate()
  }
  return (
    <Dialog
      title={`Delete ${plural(entries.length, 'entry', 'entries')} of the ${lists[list].title}?`}
      onClose={onClose}
      footer={
        <>
          <Button look="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button
            type="submit"
            form={form}
            look="danger"
            busy={remove.isPending}
            disabled={mustType && !isCount(typed, entries.length)}
          >
            Delete
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} className="flex flex-col gap-4">
        <ul
          aria-label="Entries to delete"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard
          tabIndex={0}
          className="max-h-72 overflow-y-auto rounded bg-sunken px-3 py-2"
        >
          {entries.map(({ id, value, comment: why }) => (
            <li key={id} className="text-sm">
              <span className="mono">{value}</span> {why && <span className="text-faint">{why}</span>}
            </li>
          ))}
        </ul>
        {remove.isPending && (
          <p role="status" className="text-soft text-sm">
            {gone} of {entries.length} deleted …
          </p>
        )}
        {remove.error ? (
          <p role="alert" className="text-danger text-sm">
            {gone} of {entries.length} are deleted. {explain(remove.error)}
          </p>
        ) : null}
        {mustType && <ConfirmCount count={entries.length} what="entries" value={typed} onChange={setTyped} />}
        <LabelledField label="Comment" help="Why you delete them. It is shown in the history.">
          {(wiring) => (
            <Input
              {...wiring}
              autoFocus
              maxLength={500}
              value={comment}
              onChange={(event) => setComment(event.target.value)}
            />
          )}
        </LabelledField>
      </form>
    </Dialog>
  )
}
