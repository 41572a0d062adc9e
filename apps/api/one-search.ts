import type { Dependencies } from './dependencies.ts'
import type { Call } from './write-revision.ts'

/** The last search of each person, by actor. */
const running = new WeakMap<Dependencies, Map<string, Promise<unknown>>>()

/**
 * Runs the searches of one person one after the other, so that nobody keeps the engine from the others. A search whose
 * client went away while it waited does not begin.
 */
export async function oneSearch<T>({ parts, who, signal }: Call, search: () => Promise<T>): Promise<T> {
  const ofActors = running.get(parts) ?? new Map<string, Promise<unknown>>()
  running.set(parts, ofActors)
  const before = ofActors.get(who.actor)
  const result = (async () => {
    await before?.catch(() => {})
    signal.throwIfAborted()
    return search()
  })()
  ofActors.set(who.actor, result)
  try {
    return await result
  } finally {
    if (ofActors.get(who.actor) === result) ofActors.delete(who.actor)
  }
}
