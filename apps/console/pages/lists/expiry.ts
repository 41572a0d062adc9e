const hour = 3_600_000

export const expiries = [
  { name: 'never', title: 'never', after: 0 },
  { name: 'hour', title: 'in an hour', after: hour },
  { name: 'day', title: 'in a day', after: 24 * hour },
  { name: 'week', title: 'in a week', after: 7 * 24 * hour },
  { name: 'month', title: 'in 30 days', after: 30 * 24 * hour },
  { name: 'date', title: 'on a date …', after: 0 },
] as const

/**
 * Returns `{expiresAt}` in RFC 3339 UTC, or nothing for never. An invalid date is passed on unchanged, and the contract
 * refuses it.
 */
export function expiryTime(choice: { expiry: string; until: string }, now: number): { expiresAt?: string } {
  if (choice.expiry === 'date') {
    const at = new Date(choice.until)
    return { expiresAt: Number.isNaN(at.getTime()) ? choice.until : at.toISOString() }
  }
  const after = expiries.find(({ name }) => name === choice.expiry)?.after ?? 0
  return after > 0 ? { expiresAt: new Date(now + after).toISOString() } : {}
}
