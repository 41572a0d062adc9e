import { useSyncExternalStore } from 'react'

/** Named searches of a page, kept in this browser. */

export type ViewPage = 'events' | 'messages'
export type SavedView = { name: string; search: Record<string, string> }

const keyOf = (page: ViewPage) => `postern.views.${page}`
const listeners = new Set<() => void>()

/** Reads what is stored; anything else than a list of views is none. */
export function viewsIn(stored: string | null): SavedView[] {
  try {
    const views: unknown = JSON.parse(stored ?? '[]')
    return Array.isArray(views) ? views.filter(isView) : []
  } catch {
    return []
  }
}

function isView(view: unknown): view is SavedView {
  const { name, search } = (view ?? {}) as Partial<SavedView>
  if (typeof name !== 'string' || typeof search !== 'object' || search === null) return false
  return Object.values(search).every((value) => typeof value === 'string')
}

/** Puts a view in the place of the one with the same name, or at the end. */
export function withView(views: readonly SavedView[], view: SavedView): SavedView[] {
  const at = views.findIndex(({ name }) => name === view.name)
  return at < 0 ? [...views, view] : views.with(at, view)
}

/** With another name. A name that is empty or taken changes nothing. */
export function renamed(views: readonly SavedView[], from: string, to: string): SavedView[] {
  const name = to.trim()
  if (name === '' || views.some((view) => view.name === name)) return [...views]
  return views.map((view) => (view.name === from ? { ...view, name } : view))
}

export function useSavedViews(page: ViewPage): [SavedView[], (views: SavedView[]) => void] {
  const stored = useSyncExternalStore(subscribe, () => localStorage.getItem(keyOf(page)))
  const keep = (views: SavedView[]) => {
    localStorage.setItem(keyOf(page), JSON.stringify(views))
    for (const listener of listeners) listener()
  }
  return [viewsIn(stored), keep]
}

/** Another tab may change them. */
function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  addEventListener('storage', listener)
  return () => {
    listeners.delete(listener)
    removeEventListener('storage', listener)
  }
}
