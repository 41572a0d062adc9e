import { X } from 'lucide-react'
import { Button } from '../ui/Button.tsx'
import { formatTime } from '../ui/format.ts'
import { visibleText } from '../ui/visible-text.ts'
import { chipsOf, type Field } from './filters.ts'
import { isCustom, type RangeSearch, ranges } from './range.ts'

type Search = RangeSearch & Record<string, string | undefined>
type Props = { fields: readonly Field[]; search: Search; onSearch: (search: Search) => void }

/** The filters that are set. Each is a button that removes it. */
export function Chips({ fields, search, onSearch }: Props) {
  const chips = chipsOf(search, fields)
  const range = rangeText(search)
  if (chips.length === 0 && range === undefined) return null
  const without = (...keys: string[]) =>
    onSearch(Object.fromEntries(Object.entries(search).filter(([key]) => !keys.includes(key))))
  const times = ['range', 'since', 'until']
  return (
    <ul aria-label="Active filters" className="flex flex-wrap items-center gap-2 px-3 pb-3">
      {range !== undefined && <Chip label="Time" value={range} onRemove={() => without(...times)} />}
      {chips.map(({ key, label, value }) => (
        <Chip key={key} label={label} value={visibleText(value)} onRemove={() => without(key)} />
      ))}
      {chips.length + (range === undefined ? 0 : 1) > 1 && (
        <li>
          <Button look="quiet" className="h-7!" onClick={() => without(...times, ...fields.map(({ key }) => key))}>
            Remove all
          </Button>
        </li>
      )}
    </ul>
  )
}

function rangeText(search: RangeSearch): string | undefined {
  const { range, since, until } = search
  if (!isCustom(search)) return range && ranges[range].title
  return [since && `from ${formatTime(since)}`, until && `until ${formatTime(until)}`].filter(Boolean).join(' ')
}

function Chip({ label, value, onRemove }: { label: string; value: string; onRemove: () => void }) {
  return (
    <li className="min-w-0 max-w-full">
      <button
        type="button"
        onClick={onRemove}
        className="inline-flex h-7 max-w-full items-center gap-1.5 rounded-full border border-edge bg-raised pr-2 pl-3 text-sm hover:bg-sunken"
      >
        <span className="shrink-0 text-faint">{label}</span> <bdi className="truncate">{value}</bdi>
        <span className="sr-only">: remove this filter</span>
        <X aria-hidden="true" className="size-3.5 shrink-0" />
      </button>
    </li>
  )
}
