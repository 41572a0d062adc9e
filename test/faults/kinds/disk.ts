import { noSmallDisk } from '@postern/runtime/test/disk.ts'
import { fillDisk, type Place, places } from '../disk.ts'
import type { OwnKind } from '../round.ts'

/** Fills the disk of each directory, in a separate Postern with a small disk. */
function fullDisk(place: Place): OwnKind {
  return {
    name: `disk full: ${place || 'all of data'}`,
    run: async () => {
      const { accepted, lost, cut, books } = await fillDisk(place, { say: () => {} })
      return { accepted, lost, damaged: cut, unbalanced: typeof books === 'string' ? [books] : [] }
    },
  }
}

/** None without root, which a small disk needs. */
export const fullDisks: OwnKind[] = noSmallDisk ? [] : (Object.keys(places) as Place[]).map(fullDisk)
