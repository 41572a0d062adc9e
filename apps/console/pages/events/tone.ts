import { rowOf, type Tone } from '@postern/contract/events.ts'

/** How loudly an event is shown; its title stands beside the colour. */
export const toneOfEvent = (type: string): Tone => rowOf(type)?.tone ?? 'calm'
