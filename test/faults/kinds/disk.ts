import { noSmallDisk } from '@postern/runtime/test/disk.ts'
import { fillDisk, type Place, places } from '../disk.ts'
import type { OwnKind } from '../round.ts'

/** Each directory's disk fills up, in a Postern of its own whose directory is a small disk. */
function fullDisk(place: Place): OwnKind {
  return {
    name: `disk full: ${place || 'all of data'}`,
    run: async () => {
      const { accepted, lost, cut, books } = await fillDisk(place, () => {})
      return { accepted, lost, damaged: cut, unbalanced: typeof books === 'string' ? [books] : [] }
    },
  }
}

/** None where a small disk cannot be had: it needs root. */
export const fullDisks: OwnKind[] = noSmallDisk ? [] : (Object.keys(places) as Place[]).map(fullDisk)
