import { eventTypeNames, eventTypes } from '@postern/contract/events.ts'
import { useQuery } from '@tanstack/react-query'
import { ChevronDown, ChevronUp } from 'lucide-react'
import { type FormEvent, useEffect, useState } from 'react'
import { workersQuery } from '../api/queries.ts'
import { Button } from '../ui/Button.tsx'
import { Input, Select } from '../ui/Controls.tsx'
import { timeZone } from '../ui/format.ts'
import { LabelledField } from '../ui/LabelledField.tsx'
import { type Field, filledOf, outcomes, problemOf, typeGroups, valueText } from './filters.ts'
import { fromLocal, isCustom, type RangeName, type RangeSearch, rangeNames, ranges, toLocal } from './range.ts'

type Search = RangeSearch & Record<string, string | undefined>
type Props = {
  fields: readonly Field[]
  search: Search
  /** The range of a search without one. */
  usual: RangeName
  onSearch: (search: Search) => void
}

/** The filters of a search. A choice applies at once, text when the form is sent. */
export function FilterForm({ fields, search, usual, onSearch }: Props) {
  const [draft, setDraft] = useState<Search>(search)
  const hidden = fields.filter(({ more }) => more)
  const [more, setMore] = useState(() => hidden.some(({ key }) => search[key] !== undefined))
  const [custom, setCustom] = useState(() => isCustom(search))
  const [problems, setProblems] = useState<Record<string, string>>({})
  useEffect(() => {
    setDraft(search)
    setCustom(isCustom(search))
    setProblems({})
  }, [search])

  const go = (next: Search) => {
    const found = fields.flatMap(({ key }) => {
      const problem = next[key] && problemOf(key, next[key].trim())
      return problem ? [[key, problem]] : []
    })
    setProblems(Object.fromEntries(found))
    if (found.length === 0) onSearch(filledOf(next))
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    go(draft)
  }
  const chooseRange = (value: string) => {
    if (value === 'custom') return setCustom(true)
    const range = value === usual ? undefined : (value as RangeName)
    go({ ...draft, range, since: undefined, until: undefined })
  }
  return (
    <form onSubmit={submit} aria-label="Filters" className="flex flex-wrap items-end gap-3 p-3">
      <LabelledField label="Time" className="w-40">
        {(wiring) => (
          <Select
            {...wiring}
            value={custom ? 'custom' : (draft.range ?? usual)}
            onChange={(event) => chooseRange(event.target.value)}
          >
            {rangeNames.map((name) => (
              <option key={name} value={name}>
                {ranges[name].title}
              </option>
            ))}
            <option value="custom">from … until …</option>
          </Select>
        )}
      </LabelledField>
      {custom && <CustomRange search={search} onChange={(range) => setDraft({ ...draft, ...range })} />}
      {fields
        .filter((field) => more || !field.more)
        .map((field) => (
          <LabelledField key={field.key} label={field.label} error={problems[field.key]} className="min-w-36 flex-1">
            {(wiring) =>
              field.options ? (
                <Select
                  {...wiring}
                  value={draft[field.key] ?? ''}
                  onChange={(event) => go({ ...draft, [field.key]: event.target.value || undefined })}
                >
                  <option value="">all</option>
                  <Options field={field} value={draft[field.key]} />
                </Select>
              ) : (
                <Input
                  {...wiring}
                  type={field.key === 'q' ? 'search' : 'text'}
                  placeholder={field.placeholder}
                  maxLength={field.key === 'q' ? 4096 : 320}
                  value={draft[field.key] ?? ''}
                  onChange={(event) => setDraft({ ...draft, [field.key]: event.target.value || undefined })}
                />
              )
            }
          </LabelledField>
        ))}
      <div className="flex gap-2">
        <Button type="submit">Search</Button>
        {hidden.length > 0 && (
          <Button look="quiet" aria-expanded={more} onClick={() => setMore(!more)}>
            {more ? <ChevronUp aria-hidden="true" /> : <ChevronDown aria-hidden="true" />}
            {more ? 'Fewer filters' : 'More filters'}
          </Button>
        )}
      </div>
    </form>
  )
}

function CustomRange({ search, onChange }: { search: Search; onChange: (range: RangeSearch) => void }) {
  const ends = [
    { key: 'since', label: 'From' },
    { key: 'until', label: 'Until' },
  ] as const
  return (
    <fieldset className="flex flex-wrap items-end gap-3">
      <legend className="sr-only">Time range, in {timeZone()}</legend>
      {ends.map(({ key, label }) => (
        <LabelledField key={key} label={`${label} (local time)`} className="w-48">
          {(wiring) => (
            <Input
              {...wiring}
              type="datetime-local"
              step={1}
              key={search[key]}
              defaultValue={toLocal(search[key])}
              onChange={({ target }) => {
                // While a date is incomplete, the browser says that it is empty.
                if (!target.validity.badInput) onChange({ [key]: fromLocal(target.value) })
              }}
            />
          )}
        </LabelledField>
      ))}
    </fieldset>
  )
}

function Options({ field, value }: { field: Field; value: string | undefined }) {
  const workers = useQuery({ ...workersQuery(30_000), enabled: field.options === 'workers' })
  switch (field.options) {
    case 'types':
      return <TypeOptions value={value} />
    case 'workers':
      return <Plain values={['api', ...(workers.data ?? []).map(({ id }) => id)]} value={value} />
    case 'levels':
      return <Plain values={['normal', 'verbose', 'debug']} value={value} />
    default:
      return <Plain values={outcomes} value={value} />
  }
}

/** The values, and the one in the URL if it is none of them, such as a worker that is gone. */
function Plain({ values, value }: { values: readonly string[]; value: string | undefined }) {
  const all = value === undefined ? values : [...new Set([...values, value])]
  return all.map((one) => (
    <option key={one} value={one}>
      {one}
    </option>
  ))
}

function TypeOptions({ value }: { value: string | undefined }) {
  const listed = value === undefined || [...typeGroups, ...eventTypeNames].includes(value)
  return (
    <>
      {!listed && <option value={value}>{valueText('type', value)}</option>}
      {typeGroups.map((group) => (
        <option key={group} value={group}>
          {valueText('type', group)}
        </option>
      ))}
      {eventTypeNames.map((type) => (
        <option key={type} value={type}>
          {eventTypes[type].title}
        </option>
      ))}
    </>
  )
}
