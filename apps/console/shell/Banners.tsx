import type { GeneralSettings } from '@postern/contract/settings.ts'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { CloudOff, TriangleAlert } from 'lucide-react'
import { useEffect, useRef } from 'react'
import { probe, useLostSince } from '../api/api-reachable.ts'
import { call } from '../api/client.ts'
import { formatSpan } from '../ui/format.ts'
import { useNow } from '../ui/Time.tsx'

/** Interval in milliseconds for checking whether the API is reachable again. */
const probeMs = 1500

/** Shown above every page while the API is unreachable. When it is back, all data on the page is reloaded. */
export function ApiUnreachableBanner() {
  const since = useLostSince()
  const client = useQueryClient()
  const wasAway = useRef(false)
  useEffect(() => {
    if (since !== null) {
      wasAway.current = true
      const timer = setInterval(() => void probe(), probeMs)
      return () => clearInterval(timer)
    }
    if (wasAway.current) void client.invalidateQueries()
    wasAway.current = false
    return undefined
  }, [since, client])
  return (
    <div role="status">
      {since !== null && (
        <p
          data-testid="away"
          className="flex gap-2.5 border-warn border-b bg-warn-soft px-4 py-2.5 text-sm text-warn sm:px-8"
        >
          <CloudOff aria-hidden="true" className="mt-0.5 size-4 shrink-0" />
          <span>
            <strong>The API does not answer</strong> for <Since at={since} />. Mail is not affected: workers keep their
            current settings. This page may be out of date. It reconnects by itself, and keeps what you typed.
          </span>
        </p>
      )}
    </div>
  )
}

function Since({ at }: { at: number }) {
  const now = useNow(1000)
  return <>{formatSpan(now - at)}</>
}

/** Shown on every page, because an open relay is abused within hours. */
export function OpenRelayBanner() {
  const { data } = useQuery({
    queryKey: ['settings', 'general', 'relayMode'],
    queryFn: () => call<{ settings: Pick<GeneralSettings, 'relayMode'> }>({ path: '/v1/settings/general' }),
    select: ({ settings }) => settings.relayMode,
    refetchInterval: 30_000,
  })
  if (data !== 'anyone') return null
  return (
    <p
      role="alert"
      data-testid="open-relay"
      className="flex gap-2.5 bg-danger px-4 py-2.5 font-medium text-on-danger text-sm sm:px-8"
    >
      <TriangleAlert aria-hidden="true" className="mt-0.5 size-4 shrink-0" />
      <span>
        This is an open relay: anyone on the Internet may send mail to anyone through it.{' '}
        <Link to="/settings/$group" params={{ group: 'general' }} className="underline">
          Change Relay control
        </Link>
      </span>
    </p>
  )
}
