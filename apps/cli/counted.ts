/** Returns the number with its noun: "1 attempt", "2 attempts". */
export const counted = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`
