import type { Replay } from '@postern/contract/replay.ts'
import { formatCount, plural } from '../../ui/format.ts'

/** The summary of a replay. Pure. */

export function headlineOf({ sessions = 0, changedVerdicts = 0, notKnown = none }: Replay): string {
  if (sessions === 0) return 'No sessions were recorded in this period'
  const change = `${plural(changedVerdicts, 'verdict')} would change`
  return notKnown.answers === 0 ? change : `${plural(notKnown.answers, 'verdict')} unknown, ${change}`
}

const none = { sessions: 0, answers: 0 }

/** Returns what the numbers leave out, the most important first. */
export function notKnownOf({
  sessions = 0,
  notKnown = none,
  notAnswerable = [],
  dropped,
  unreadable = 0,
}: Replay): string[] {
  const lines: string[] = []
  if (notKnown.sessions > 0) {
    const share = percentOf(notKnown.sessions, sessions)
    const rules = notAnswerable.map(({ rule }) => rule).join(', ')
    lines.push(
      `In ${formatCount(notKnown.sessions)} of ${plural(sessions, 'session')} (${share}), the result of ${rules} is unknown, because the facts were not recorded.`,
    )
  }
  if (dropped > 0) lines.push(`${plural(dropped, 'session')} of this period not recorded, or deleted to free space.`)
  if (unreadable > 0) lines.push(`${plural(unreadable, 'recorded session')} from another version could not be read.`)
  return lines
}

/** Formats a percentage. Never shows 0 % for a nonzero part, or 100 % for less than all. */
function percentOf(part: number, whole: number): string {
  const percent = Math.round((100 * part) / whole)
  if (percent === 0) return 'less than 1 %'
  return percent === 100 && part < whole ? 'more than 99 %' : `${percent} %`
}
