import { noSmallDisk } from '@postern/runtime/test/disk.ts'
import { describe, expect, it } from 'vitest'
import { fillDisk, type Place, places } from './disk.ts'

/** Which service must report it, and the text. */
const degraded: Partial<Record<Place, RegExp>> = {
  spool: /^smtp-1 degraded: .*452 4\.3\.1/,
  mail: /^queue-1 degraded: .*maildir: .*ENOSPC/,
}

describe.skipIf(noSmallDisk)(`a disk fills up while mail flows${noSmallDisk ? `: ${noSmallDisk}` : ''}`, () => {
  // Each has an installation and a disk of its own, and waits most of the time.
  it.concurrent.each(Object.keys(places) as Place[])(
    '%s: nothing lost, nothing cut, the books balance, and it goes on by itself',
    {
      timeout: 240_000,
    },
    async (place) => {
      const round = await fillDisk(place, { say: (line) => console.log(line), degraded: degraded[place] })
      expect(round).toMatchObject({ lost: [], cut: 0, books: expect.objectContaining({}) })
      expect(round.accepted).toBeGreaterThan(0)
      for (const reply of round.refused.keys()) expect(reply).toMatch(/^4\d\d/)
      // Saved, or refused with a reason, but never a 500.
      expect([200, 503]).toContain(round.savedWhileFull)
      const said = degraded[place]
      if (said) expect([...round.states].some((state) => said.test(state))).toBe(true)
    },
  )
})
