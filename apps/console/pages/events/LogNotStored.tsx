import type { LoggingSettings } from '@postern/contract/settings.ts'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { call } from '../../api/client.ts'

const where = {
  none: 'Logging is off',
  storage: '',
  syslog: 'The log goes to syslog',
  logServer: 'The log goes to a log server',
}

/** Tells the user if current events are not stored here. */
export function LogNotStored() {
  const query = useQuery({
    queryKey: ['settings', 'logging', 'events'],
    queryFn: () => call<{ settings: LoggingSettings }>({ path: '/v1/settings/logging' }),
    refetchInterval: 30_000,
  })
  const { destination = 'storage', level = 'normal' } = query.data?.settings ?? {}
  const says = level === 'off' ? 'Logging is off' : where[destination]
  if (!says) return null
  return (
    <p role="status" className="mb-3 rounded-md bg-warn-soft px-3 py-2 text-sm text-warn">
      {says}, so new events are not kept here. See{' '}
      <Link to="/settings/$group" params={{ group: 'logging' }} className="underline">
        Logging
      </Link>
      .
    </p>
  )
}
