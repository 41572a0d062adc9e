import type { EventRange } from './file-names.ts'

/**
 * What is read of an hour's batches, so that each event counts once. A batch that was sent twice, cut anew after an error,
 * merged with its neighbours, or compacted before its file was removed is there more than once.
 */
export type Piece<T extends EventRange> = {
  batch: T
  /** The numbers that count, both inclusive. */
  first: number
  last: number
}

/** `covered`: what the hour's Parquet file has already. */
export function eachOnce<T extends EventRange>(batches: readonly T[], covered: readonly EventRange[] = []): Piece<T>[] {
  const known = Map.groupBy(joined(covered), logOf)
  const pieces: Piece<T>[] = []
  for (const [log, ofLog] of Map.groupBy(batches, logOf)) {
    let upTo = 0
    for (const batch of ofLog.toSorted(byBeginning)) {
      pieces.push(...without(batch, upTo, known.get(log) ?? []))
      upTo = Math.max(upTo, batch.last)
    }
  }
  return pieces
}

const logOf = ({ worker, log }: EventRange): string => `${worker} ${log}`

/** Of two that begin alike, the wider goes first: the other adds nothing. */
const byBeginning = (a: EventRange, b: EventRange): number => a.first - b.first || b.last - a.last

/** A batch above a number, without the ranges that are covered. */
function without<T extends EventRange>(batch: T, upTo: number, covered: readonly EventRange[]): Piece<T>[] {
  const pieces: Piece<T>[] = []
  let next = Math.max(batch.first, upTo + 1)
  for (const { first, last } of covered) {
    if (last < next || first > batch.last) continue
    if (first > next) pieces.push({ batch, first: next, last: first - 1 })
    next = last + 1
  }
  if (next <= batch.last) pieces.push({ batch, first: next, last: batch.last })
  return pieces
}

/** Joins ranges that touch or overlap; in the order of their numbers within each log. */
export function joined(ranges: readonly EventRange[]): EventRange[] {
  const all: EventRange[] = []
  for (const ofLog of Map.groupBy(ranges, logOf).values()) {
    let before: EventRange | undefined
    for (const { worker, log, first, last } of ofLog.toSorted(byBeginning)) {
      if (before && first <= before.last + 1) {
        before.last = Math.max(before.last, last)
        continue
      }
      before = { worker, log, first, last }
      all.push(before)
    }
  }
  return all
}
