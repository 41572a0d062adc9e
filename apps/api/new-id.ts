import { V7Generator } from 'uuidv7'

const generator = new V7Generator()
// A clock that is set back, by however much, must not break the order.
generator.setRollbackAllowance(2 ** 48 - 1)

/** uuidv7 (RFC 9562 §5.7), lower case. Ids of one process grow strictly, also within a millisecond and when the clock is set back. */
export function newId(now: number): string {
  return generator.generateOrResetWithTs(now).toString()
}
