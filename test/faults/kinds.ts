import { indexFiles } from './kinds/index-files.ts'
import { kills } from './kinds/kill.ts'
import type { Kind } from './round.ts'

/** Every kind of round there is, in the order in which they take turns. A new one is a file in `kinds` and a name here. */
export const kinds: readonly Kind[] = [...kills, ...indexFiles]
