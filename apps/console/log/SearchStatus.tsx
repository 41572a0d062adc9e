import { type ReactNode, useEffect, useState } from 'react'
import { Button } from '../ui/Button.tsx'
import { formatTime } from '../ui/format.ts'
import type { SearchState } from './log-search.ts'

/** A short search is not worth a line that comes and goes. */
const shownAfterMs = 700

/** How far a search has come; cancels one that takes long, and goes on with one that was cut short. */
export function SearchStatus({ search }: { search: SearchState }) {
  const { state, searchedBackTo } = search
  const back = searchedBackTo && formatTime(searchedBackTo)
  if (state === 'searching') return <Searching back={back} onCancel={search.cancel} />
  if (state !== 'stopped' && state !== 'cutShort') return null
  return (
    <Line>
      <span role="status">
        {state === 'stopped' ? 'The search was cancelled.' : 'The time for this search ran out.'}
        {back && ` Searched back to ${back}.`}
      </span>
      <Button onClick={search.further}>{back ? 'Search further' : 'Search again'}</Button>
    </Line>
  )
}

function Searching({ back, onCancel }: { back: string | undefined; onCancel: () => void }) {
  const [begin] = useState(() => Date.now())
  const [now, setNow] = useState(begin)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250)
    return () => clearInterval(timer)
  }, [])
  const passed = now - begin
  if (passed < shownAfterMs) return null
  return (
    <Line>
      <span role="status">
        Searching …{back && ` Searched back to ${back}.`} <span aria-hidden="true">{Math.round(passed / 1000)} s</span>
      </span>
      <Button onClick={onCancel}>Cancel</Button>
    </Line>
  )
}

function Line({ children }: { children: ReactNode }) {
  return (
    <div className="flex min-h-12 flex-wrap items-center justify-between gap-x-4 gap-y-2 border-line border-b bg-sunken px-4 py-2 text-soft text-sm">
      {children}
    </div>
  )
}
