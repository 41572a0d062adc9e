import { clocks } from './kinds/clock.ts'
import { fullDisks } from './kinds/disk.ts'
import { indexFiles } from './kinds/index-files.ts'
import { kills } from './kinds/kill.ts'
import { remotes } from './kinds/remote.ts'
import { settingsFiles } from './kinds/settings.ts'
import type { AnyKind } from './round.ts'

/** Every kind of round there is, in the order in which they take turns. A new one is a file in `kinds` and a name here. */
export const kinds: readonly AnyKind[] = [
  ...kills,
  ...indexFiles,
  ...settingsFiles,
  ...remotes,
  ...fullDisks,
  ...clocks,
]
