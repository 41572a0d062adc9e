import type { Page } from '@postern/contract/views.ts'
import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import type { Query } from '../api/client.ts'
import { pagesQuery } from '../api/queries.ts'

const pageSize = 200

/** The counts beside a search, which are cancelled with it. */
export const countKey = ['log', 'counts'] as const

/** A page of a search of the log. */
export type SearchPage<T> = Page<T> & { searchedBackTo: string; complete: boolean }

/** A search that did not come to an end in its time: a page that is not full, and there is more. */
export const isCutShort = ({ items, nextCursor, complete }: SearchPage<unknown>): boolean =>
  !complete && nextCursor !== null && items.length < pageSize

/** The moment that relative time ranges count from: when the search was last changed or asked again. */
export function useAsOf(search: object): { asOf: number; again: () => void } {
  const [run, setRun] = useState(0)
  const text = JSON.stringify(search)
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is another moment for each search and each run
  const asOf = useMemo(() => Date.now(), [text, run])
  return { asOf, again: () => setRun((n) => n + 1) }
}

/** `stopped`: the user cancelled it. `cutShort`: the time for it ran out, and `further` goes on. */
export type SearchState = {
  state: 'searching' | 'stopped' | 'cutShort' | 'done' | 'failed'
  /** Everything from here on was looked at. */
  searchedBackTo: string | undefined
  error: unknown
  cancel: () => void
  further: () => void
}

/** Searches the log page by page. The next page comes by itself, except after a search that was cut short. */
export function useLogSearch<T>(path: string, query: Query) {
  const client = useQueryClient()
  const options = pagesQuery<T>(path, query, pageSize)
  const found = useInfiniteQuery({ ...options, staleTime: Number.POSITIVE_INFINITY, gcTime: 60_000, retry: false })
  const pages = found.data?.pages as SearchPage<T>[] | undefined
  const rows = useMemo(() => pages?.flatMap(({ items }) => items) ?? [], [pages])
  const last = pages?.at(-1)
  const [cancelled, setCancelled] = useState<string | null>(null)
  const key = JSON.stringify(options.queryKey)
  const further = () => {
    setCancelled(null)
    void (pages ? found.fetchNextPage() : found.refetch())
  }
  const state: SearchState = {
    state: found.isFetching
      ? 'searching'
      : found.error
        ? 'failed'
        : cancelled === key
          ? 'stopped'
          : last && isCutShort(last)
            ? 'cutShort'
            : 'done',
    searchedBackTo: last?.searchedBackTo,
    error: found.error,
    cancel: () => {
      setCancelled(key)
      void client.cancelQueries({ queryKey: options.queryKey, exact: true })
      void client.cancelQueries({ queryKey: countKey })
    },
    further,
  }
  const onEnd = state.state === 'done' && found.hasNextPage ? () => void found.fetchNextPage() : undefined
  return { rows, search: state, onEnd }
}
