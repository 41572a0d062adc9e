/** The filter of the queue page, as in its URL. */
export type QueueSearch = {
  state?: string | undefined
  domain?: string | undefined
  sender?: string | undefined
  recipient?: string | undefined
  cause?: string | undefined
  olderThanMinutes?: string | undefined
}
