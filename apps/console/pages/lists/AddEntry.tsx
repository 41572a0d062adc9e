import { type ListName, lists } from '@postern/contract/lists.ts'
import { Plus } from 'lucide-react'
import { type FormEvent, useRef, useState } from 'react'
import { explain } from '../../api/problem.ts'
import { useReview } from '../../review/review.tsx'
import { Button } from '../../ui/Button.tsx'
import { Input, Select } from '../../ui/Controls.tsx'
import { LabelledField } from '../../ui/LabelledField.tsx'
import { type EntryErrors, entryErrors } from './entry-errors.ts'
import { expiries, expiryTime } from './expiry.ts'

const blank = { value: '', action: '', comment: '', expiry: 'never', until: '' }

/** Adds one entry, typed in a single line. */
export function AddEntry({ list }: { list: ListName }) {
  const review = useReview()
  const [entry, setEntry] = useState(blank)
  const [errors, setErrors] = useState<EntryErrors>({})
  const first = useRef<HTMLInputElement>(null)
  const until = useRef<HTMLInputElement>(null)
  const set = (key: keyof typeof blank) => (event: { target: { value: string } }) => {
    setEntry({ ...entry, [key]: event.target.value })
    setErrors({})
  }

  async function submit(event: FormEvent) {
    event.preventDefault()
    const body = {
      value: entry.value,
      ...(entry.action ? { action: entry.action } : {}),
      ...(entry.comment ? { comment: entry.comment } : {}),
      ...expiryTime(entry, Date.now()),
    }
    const found = entryErrors(list, body)
    setErrors(found)
    if (Object.keys(found).length > 0) {
      const onlyExpiry = found.expiresAt !== undefined && Object.keys(found).length === 1
      return (onlyExpiry ? until : first).current?.focus()
    }
    try {
      const saved = await review({
        title: `Add to ${lists[list].title}`,
        request: { method: 'POST', path: `/v1/lists/${list}`, body },
      })
      if (!saved) return
      setEntry(blank)
      first.current?.focus()
    } catch (refused) {
      setErrors({ value: explain(refused) })
    }
  }

  return (
    <form
      onSubmit={submit}
      noValidate
      aria-label={`Add to ${lists[list].title}`}
      className="mb-5 grid items-start gap-3 rounded-lg border border-line bg-panel p-4 sm:flex sm:flex-wrap"
    >
      <LabelledField label="Value" error={errors.value} className="grow basis-52">
        {(wiring) => (
          <Input
            {...wiring}
            ref={first}
            value={entry.value}
            onChange={set('value')}
            placeholder={lists[list].example}
            className="mono"
          />
        )}
      </LabelledField>
      {list === 'control-access' && (
        <LabelledField label="Action" error={errors.action} className="basis-44">
          {(wiring) => (
            <Select {...wiring} value={entry.action} onChange={set('action')}>
              <option value="">not set: see Default access</option>
              <option value="grant">grant</option>
              <option value="deny">deny</option>
            </Select>
          )}
        </LabelledField>
      )}
      <LabelledField label="Comment" error={errors.comment} className="grow basis-52">
        {(wiring) => <Input {...wiring} maxLength={500} value={entry.comment} onChange={set('comment')} />}
      </LabelledField>
      <LabelledField label="Expires" className="basis-36">
        {(wiring) => (
          <Select {...wiring} value={entry.expiry} onChange={set('expiry')}>
            {expiries.map(({ name, title }) => (
              <option key={name} value={name}>
                {title}
              </option>
            ))}
          </Select>
        )}
      </LabelledField>
      {entry.expiry === 'date' && (
        <LabelledField label="Until (local time)" error={errors.expiresAt}>
          {(wiring) => (
            <Input {...wiring} ref={until} type="datetime-local" value={entry.until} onChange={set('until')} />
          )}
        </LabelledField>
      )}
      <Button type="submit" look="primary" disabled={entry.value.trim() === ''} className="sm:mt-6">
        <Plus aria-hidden="true" /> Add
      </Button>
    </form>
  )
}
