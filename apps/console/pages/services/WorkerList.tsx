import type { WorkerView } from '@postern/contract/views.ts'
import { Badge, StateBadge } from '../../ui/Badge.tsx'
import { formatCount, formatSpan } from '../../ui/format.ts'
import { Fact, Facts } from '../../ui/Page.tsx'
import { Ago, useNow } from '../../ui/Time.tsx'

/** The workers of a service: their settings in force, their work and their problems. */
export function WorkerList({ workers }: { workers: readonly WorkerView[] }) {
  if (workers.length === 0)
    return (
      <p className="px-4 py-6 text-soft text-sm">
        No worker has enrolled. Start one with <span className="mono">POSTERN_API_URL</span> and{' '}
        <span className="mono">POSTERN_ENROL_TOKEN</span> set.
      </p>
    )
  return (
    <ul className="divide-y divide-line">
      {workers.map((worker) => (
        <WorkerItem key={worker.id} worker={worker} />
      ))}
    </ul>
  )
}

function WorkerItem({ worker }: { worker: WorkerView }) {
  const now = useNow(5000)
  return (
    <li className="px-4 py-3.5">
      <h3 className="mb-2 flex flex-wrap items-center gap-2 font-medium text-sm">
        <span className="mono">{worker.id}</span>
        <StateBadge state={worker.live ? worker.observed : 'silent'} />
        {worker.lag > 0 ? (
          <Badge tone="warn">
            revision {worker.revision}, {worker.lag} behind
          </Badge>
        ) : (
          <Badge>revision {worker.revision}</Badge>
        )}
      </h3>
      {worker.detail && <p className="stranger mb-2 rounded bg-danger-soft px-2 py-1 text-danger">{worker.detail}</p>}
      {worker.refused && (
        <p className="mb-2 rounded bg-danger-soft px-2 py-1 text-danger text-sm">
          Refused revision {worker.refused.revision}: <span className="stranger">{worker.refused.error}</span>. Revision{' '}
          {worker.revision}, the last good one, stays in force here.
        </p>
      )}
      <Facts className="lg:grid-cols-[max-content_1fr_max-content_1fr]">
        <Fact name={worker.service === 'smtp' ? 'Sessions' : 'Deliveries'}>{formatCount(worker.sessions)}</Fact>
        {worker.waiting && <Fact name="Waiting">{formatCount(worker.waiting.messages)} messages</Fact>}
        <Fact name="Up for">{worker.live ? formatSpan(now - Date.parse(worker.startedAt)) : 'not known'}</Fact>
        <Fact name="Heartbeat">
          <Ago at={worker.heartbeatAt} />
        </Fact>
        {worker.service === 'smtp' && (
          <Fact name="Listens on">
            {worker.listeners.length === 0 && 'nothing'}
            {worker.listeners.map((listener) => (
              <span key={`${listener.name} ${listener.address} ${listener.port}`} className="mr-3 inline-block">
                <span className="mono">
                  {listener.address.includes(':') ? `[${listener.address}]` : listener.address}:{listener.port}
                </span>{' '}
                <span className="text-faint">{listener.name}</span>
              </span>
            ))}
          </Fact>
        )}
        <Fact name="Events unsent">{formatCount(worker.eventsUnsent)}</Fact>
        <Fact name="Version">
          {worker.version} <span className="text-faint">· process {worker.pid}</span>
        </Fact>
      </Facts>
    </li>
  )
}
