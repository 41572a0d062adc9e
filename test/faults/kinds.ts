import { clocks } from './kinds/clock.ts'
import { fullDisks } from './kinds/disk.ts'
import { indexFiles } from './kinds/index-files.ts'
import { kills } from './kinds/kill.ts'
import { remotes } from './kinds/remote.ts'
import { settingsFiles } from './kinds/settings.ts'
import type { AnyKind } from './round.ts'

/** Every kind of round, in the order in which they take turns. To add one, add a file to `kinds` and its name here. */
export const kinds: readonly AnyKind[] = [
  ...kills,
  ...indexFiles,
  ...settingsFiles,
  ...remotes,
  ...fullDisks,
  ...clocks,
]
