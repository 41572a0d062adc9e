import { yieldToEventLoop } from '@postern/store/database.ts'

const longestMs = 10

/** Says when work in small steps has held the event loop long enough: a promise that lets others run, else nothing. */
export function timeSlice(): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < longestMs) return undefined
    return yieldToEventLoop().then(() => {
      since = performance.now()
    })
  }
}
