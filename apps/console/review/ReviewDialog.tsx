import type { WriteResult } from '@postern/contract/views.ts'
import { TriangleAlert } from 'lucide-react'
import { type FormEvent, useEffect, useId, useState } from 'react'
import { call } from '../api/client.ts'
import { ApiProblem } from '../api/problem.ts'
import { Button } from '../ui/Button.tsx'
import { Input } from '../ui/Controls.tsx'
import { Dialog } from '../ui/Dialog.tsx'
import { plural } from '../ui/format.ts'
import { LabelledField } from '../ui/LabelledField.tsx'
import { Failure, Loading } from '../ui/Page.tsx'
import { DiffView } from './DiffView.tsx'
import type { Pending } from './request.ts'

/** An import returns counts, not each entry. */
type Counted = WriteResult & { added?: number; unchanged?: number }
type Tried = { state: 'trying' } | { state: 'ready'; result: Counted | null } | { state: 'failed'; error: unknown }

/**
 * Returns whether an error goes back to the caller: invalid input that the caller can show beside its fields, or an
 * error that needs its own handling. Other errors are shown here, and the user can try again. A deletion has no fields.
 */
const goesBack = (error: unknown, { method }: Pending['request']): boolean =>
  error instanceof ApiProblem &&
  (error.status === 412 || (method !== 'DELETE' && error.status < 500 && error.errors.length > 0))

export function ReviewDialog({ pending }: { pending: Pending }) {
  const [tried, setTried] = useState<Tried>({ state: 'trying' })
  const [comment, setComment] = useState('')
  const [saving, setSaving] = useState(false)
  const [failed, setFailed] = useState<unknown>(null)
  const form = useId()
  const { request, withoutDiff } = pending

  // biome-ignore lint/correctness/useExhaustiveDependencies: one dry run for one review
  useEffect(() => {
    if (withoutDiff) return setTried({ state: 'ready', result: null })
    let gone = false
    call<WriteResult>({ ...request, query: { ...request.query, dryRun: true } }).then(
      (result) => !gone && setTried({ state: 'ready', result }),
      (error) => {
        if (gone) return
        if (goesBack(error, request)) pending.refuse(error)
        else setTried({ state: 'failed', error })
      },
    )
    return () => {
      gone = true
    }
  }, [request])

  async function save(event: FormEvent) {
    event.preventDefault()
    event.stopPropagation()
    setSaving(true)
    setFailed(null)
    try {
      pending.settle(
        await call<WriteResult>({ ...request, query: { ...request.query, comment: comment.trim() || undefined } }),
      )
    } catch (error) {
      if (goesBack(error, request)) pending.refuse(error)
      else setFailed(error)
    }
    setSaving(false)
  }

  const ready = tried.state === 'ready'
  const nothing =
    ready && tried.result !== null && (tried.result.changes ?? tried.result.diff.length) === 0 && !tried.result.added
  return (
    <Dialog
      title={pending.title}
      size="wide"
      onClose={() => pending.settle(null)}
      footer={
        <>
          <Button look="quiet" onClick={() => pending.settle(null)}>
            Cancel
          </Button>
          <Button type="submit" form={form} look={pending.look ?? 'primary'} busy={saving} disabled={!ready || nothing}>
            {pending.verb ?? 'Save'}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={save} className="flex flex-col gap-4">
        {pending.about && <div className="text-sm text-soft">{pending.about}</div>}
        <Warnings look="danger" texts={pending.dangers ?? []} />
        {ready && tried.result && (
          <Warnings look="warn" texts={unsaid(tried.result.warnings ?? [], pending.dangers ?? [])} />
        )}
        {tried.state === 'trying' && <Loading rows={3} />}
        {tried.state === 'failed' && <Failure error={tried.error} />}
        {ready && tried.result && <What result={tried.result} />}
        {failed !== null && <Failure error={failed} />}
        {ready && !nothing && (
          <LabelledField label="Comment" help="Why you make this change. It is shown in the history.">
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
        )}
      </form>
    </Dialog>
  )
}

function What({ result }: { result: Counted }) {
  const { added, unchanged = 0, diff, changes = diff.length } = result
  return (
    <>
      {added !== undefined && (
        <p className="text-sm">
          <strong>{plural(added, 'entry', 'entries')}</strong> added
          {unchanged > 0 && `, ${plural(unchanged, 'value')} left as they are`}.
        </p>
      )}
      {(added === undefined || diff.length > 0) && <DiffView diff={diff} />}
      {changes > diff.length && diff.length > 0 && (
        <p className="text-soft text-sm">… and {plural(changes - diff.length, 'more row')}.</p>
      )}
    </>
  )
}

function Warnings({ look, texts }: { look: 'warn' | 'danger'; texts: readonly string[] }) {
  if (texts.length === 0) return null
  return (
    <ul
      className={`flex flex-col gap-1.5 rounded-md px-3 py-2.5 text-sm ${look === 'warn' ? 'bg-warn-soft text-warn' : 'bg-danger-soft text-danger'}`}
    >
      {texts.map((text) => (
        <li key={text} className="flex gap-2">
          <TriangleAlert aria-hidden="true" className="mt-0.5 size-4 shrink-0" />
          <span>{text}</span>
        </li>
      ))}
    </ul>
  )
}

/** Returns the API's warnings except the dangers already shown above them. */
const unsaid = (warnings: readonly string[], dangers: readonly string[]): string[] =>
  warnings.filter((text) => !dangers.some((danger) => text.endsWith(danger)))
