import { V7Generator } from 'uuidv7'

const generator = new V7Generator()
// Setting the clock back, by any amount, must not break the order.
generator.setRollbackAllowance(2 ** 48 - 1)

/**
 * Makes a UUIDv7 (RFC 9562 §5.7) in lower case. Ids from one process always increase, even within a millisecond and
 * when the clock is set back.
 */
export function newId(now: number): string {
  return generator.generateOrResetWithTs(now).toString()
}
