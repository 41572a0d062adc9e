import { rowOf, type Tone } from '@postern/contract/events.ts'

/** Returns the prominence of an event. Its title is shown beside the colour. */
export const toneOfEvent = (type: string): Tone => rowOf(type)?.tone ?? 'calm'
