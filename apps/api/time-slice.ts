import { yieldToEventLoop } from '@postern/store/database.ts'

const longestMs = 10

/**
 * Returns a function to call between small steps of work. If the work has held the event loop too long, the function
 * returns a promise that yields.
 */
export function timeSlice(): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < longestMs) return undefined
    return yieldToEventLoop().then(() => {
      since = performance.now()
    })
  }
}
