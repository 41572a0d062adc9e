import type { ObjectStore } from '@postern/objects/object-store.ts'
import { dayFolder, dayMs } from './file-names.ts'
import { daysWithFiles, objectsBelow } from './hours.ts'

/** How many files are copied into the archive at once. */
const copiedAtOnce = 8

/**
 * Removes the days that ended before a time (in ms), all their files, whatever they are. With an archive a file goes there
 * first, under the same key; one that the archive has already stays as it is.
 */
export async function removeDaysBefore(
  store: ObjectStore,
  time: number,
  archive?: ObjectStore,
): Promise<{ days: number; files: number }> {
  const removed = { days: 0, files: 0 }
  for (const day of (await daysWithFiles(store)).reverse()) {
    if (day + dayMs > time) break
    const keys: string[] = []
    for await (const { key } of objectsBelow(store, dayFolder(day))) keys.push(key)
    if (archive) await copy(keys, store, archive)
    await store.remove(keys)
    removed.days++
    removed.files += keys.length
  }
  return removed
}

async function copy(keys: readonly string[], from: ObjectStore, to: ObjectStore): Promise<void> {
  const remaining = [...keys]
  const copyNext = async () => {
    for (let key = remaining.shift(); key !== undefined; key = remaining.shift()) {
      const content = await from.get(key)
      if (content) await to.create(key, content)
    }
  }
  await Promise.all(Array.from({ length: copiedAtOnce }, copyNext))
}
