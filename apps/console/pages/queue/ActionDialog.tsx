import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, type ReactNode, useId, useState } from 'react'
import { toast } from 'sonner'
import { explain } from '../../api/problem.ts'
import { followRollout } from '../../shell/rollout.ts'
import { Button } from '../../ui/Button.tsx'
import { asksCount, ConfirmCount, isCount } from '../../ui/ConfirmCount.tsx'
import { Input } from '../../ui/Controls.tsx'
import { Dialog } from '../../ui/Dialog.tsx'
import { plural } from '../../ui/format.ts'
import { LabelledField } from '../../ui/LabelledField.tsx'
import { type Action, actions, readHost } from './actions.ts'

export type Target = { host: string; port?: number }
type Props = {
  action: Action
  /** The number of messages, or which ones. */
  about: ReactNode
  ready?: boolean
  /** The number of messages. If many, the user must type it before an action that cannot be undone. */
  count?: number
  /** Sends the action and returns the revision of the order, if it became one. */
  act: (to: Target | undefined) => Promise<{ revision?: number }>
  onClose: () => void
  onDone: () => void
}

/** Explains an action and the number of messages it affects, then carries it out. */
export function ActionDialog({ action, about, ready = true, count = 1, act, onClose, onDone }: Props) {
  const { title, says, danger } = actions[action]
  const client = useQueryClient()
  const form = useId()
  const [host, setHost] = useState('')
  const [typed, setTyped] = useState('')
  const mustType = danger === true && asksCount(count)
  const target = readHost(host)
  const send = useMutation({
    mutationFn: () => act(action === 'reroute' ? (target ?? undefined) : undefined),
    onSuccess: ({ revision }) => {
      toast.success(`${title} requested`)
      if (revision) followRollout(revision)
      void client.invalidateQueries()
      onDone()
      onClose()
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    send.mutate()
  }
  return (
    <Dialog
      title={`${title} ${count === 0 ? 'messages' : plural(count, 'message')}?`}
      onClose={onClose}
      footer={
        <>
          <Button look="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button
            type="submit"
            form={form}
            look={danger ? 'danger' : 'primary'}
            busy={send.isPending}
            disabled={!ready || (action === 'reroute' && !target) || (mustType && !isCount(typed, count))}
          >
            {title}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} className="flex flex-col gap-3 text-sm">
        <div>{about}</div>
        <p className="text-soft">{says}</p>
        {action === 'reroute' && (
          <LabelledField label="To host" help="host or host:port, e.g. mx2.example.org:25">
            {(wiring) => <Input {...wiring} autoFocus value={host} onChange={(event) => setHost(event.target.value)} />}
          </LabelledField>
        )}
        {mustType && <ConfirmCount count={count} what="messages" value={typed} onChange={setTyped} />}
        {send.error ? (
          <p role="alert" className="text-danger">
            {explain(send.error)}
          </p>
        ) : null}
      </form>
    </Dialog>
  )
}
