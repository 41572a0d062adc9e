import type { Page, ServiceView, WorkerView } from '@postern/contract/views.ts'
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { call, type Query } from './client.ts'

/** Queries that several pages use. */

/** Reads a list. Short lists come as a whole and others in pages; both formats are accepted. */
export async function all<T>(path: string, query: Query = {}): Promise<T[]> {
  const answer = await call<T[] | Page<T>>({ path, query })
  return Array.isArray(answer) ? answer : answer.items
}

export const workersQuery = (everyMs = 5000) =>
  queryOptions({ queryKey: ['workers'], queryFn: () => all<WorkerView>('/v1/workers'), refetchInterval: everyMs })

export const servicesQuery = queryOptions({
  queryKey: ['services'],
  queryFn: () => all<ServiceView>('/v1/services'),
  refetchInterval: 2000,
})

/** Reads a list page by page, with cursors. */
export const pagesQuery = <T>(path: string, query: Query = {}, pageSize = 200) =>
  infiniteQueryOptions({
    queryKey: ['pages', path, query],
    queryFn: ({ pageParam, signal }) =>
      call<Page<T>>({ path, query: { ...query, limit: pageSize, cursor: pageParam ?? undefined }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.nextCursor,
  })
