import { useEffect, useState } from 'react'
import { formatAgo, formatTime, timeZone } from './format.ts'

/** Returns the current time, updated once a second or at the given interval. */
export function useNow(everyMs = 1000): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now
}

/** The time since a moment, with the exact time as its tooltip. */
export function Ago({ at }: { at: string | undefined }) {
  const now = useNow(5000)
  if (!at) return <span className="text-faint">never</span>
  return (
    <time dateTime={at} title={formatTime(at)} className="whitespace-nowrap">
      {formatAgo(Date.parse(at), now)}
    </time>
  )
}

/** The exact local time. */
export function At({ at }: { at: string }) {
  return (
    <time dateTime={at} title={`${at} (shown in ${timeZone()})`} className="whitespace-nowrap">
      {formatTime(at)}
    </time>
  )
}
