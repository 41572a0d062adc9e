import { queueStates } from '@postern/contract/orders.ts'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { type FormEvent, useEffect, useState } from 'react'
import { Button } from '../../ui/Button.tsx'
import { Input, Select } from '../../ui/Controls.tsx'
import { LabelledField } from '../../ui/LabelledField.tsx'
import type { QueueSearch } from './search.ts'

const texts = [
  { key: 'domain', label: 'Domain' },
  { key: 'sender', label: 'From' },
  { key: 'recipient', label: 'To' },
  { key: 'cause', label: 'Cause' },
] as const

/** The filter. It is part of the URL, so that it can be shared. */
export function Filters() {
  const filter = useSearch({ from: '/queue' })
  const navigate = useNavigate()
  const [draft, setDraft] = useState<QueueSearch>(filter)
  useEffect(() => setDraft(filter), [filter])
  const go = (search: QueueSearch) =>
    void navigate({
      to: '/queue',
      search: Object.fromEntries(Object.entries(search).filter(([, value]) => value)) as QueueSearch,
    })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    go(draft)
  }
  return (
    <form onSubmit={submit} aria-label="Filters" className="flex flex-wrap items-end gap-3 border-line border-b p-3">
      <LabelledField label="State" className="w-28">
        {(wiring) => (
          <Select
            {...wiring}
            value={draft.state ?? ''}
            onChange={(event) => go({ ...draft, state: event.target.value || undefined })}
          >
            <option value="">all</option>
            {queueStates.map((state) => (
              <option key={state} value={state}>
                {state}
              </option>
            ))}
          </Select>
        )}
      </LabelledField>
      {texts.map(({ key, label }) => (
        <LabelledField key={key} label={label} className="min-w-28 flex-1">
          {(wiring) => (
            <Input
              {...wiring}
              type={key === 'domain' ? 'search' : 'text'}
              value={draft[key] ?? ''}
              onChange={(event) => setDraft({ ...draft, [key]: event.target.value || undefined })}
            />
          )}
        </LabelledField>
      ))}
      <LabelledField label="Older than" className="w-28">
        {(wiring) => (
          <Select
            {...wiring}
            value={draft.olderThanMinutes ?? ''}
            onChange={(event) => go({ ...draft, olderThanMinutes: event.target.value || undefined })}
          >
            <option value="">any age</option>
            <option value="10">10 min</option>
            <option value="60">1 hour</option>
            <option value="240">4 hours</option>
            <option value="1440">1 day</option>
          </Select>
        )}
      </LabelledField>
      <Button type="submit">Filter</Button>
      {Object.values(filter).some(Boolean) && (
        <Button look="quiet" onClick={() => go({})}>
          Clear
        </Button>
      )}
    </form>
  )
}
