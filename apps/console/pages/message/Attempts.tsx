import type { MessageView } from '@postern/contract/views.ts'
import { StateBadge } from '../../ui/Badge.tsx'
import { Panel } from '../../ui/Page.tsx'
import { At } from '../../ui/Time.tsx'
import { visibleText } from '../../ui/visible-text.ts'

/** Every delivery attempt with the remote server's complete reply. */
export function Attempts({ attempts }: { attempts: MessageView['attempts'] }) {
  return (
    <Panel title="Delivery attempts" flush>
      {attempts.length === 0 ? (
        <p className="px-4 py-5 text-soft text-sm">None yet.</p>
      ) : (
        <ol className="divide-y divide-line">
          {attempts.map((attempt) => (
            <li key={`${attempt.at} ${attempt.attempt} ${attempt.recipients.join()}`} className="px-4 py-3 text-sm">
              <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
                <StateBadge state={attempt.outcome} />
                <At at={attempt.at} />
                <span className="text-soft">
                  attempt {attempt.attempt} at <bdi className="mono">{remoteText(attempt.remote)}</bdi> took{' '}
                  {attempt.durationMs} ms
                </span>
              </div>
              <p className="stranger mt-1.5 rounded bg-sunken px-2.5 py-1.5">
                {visibleText(attempt.reply) || '(no reply)'}
              </p>
              <p className="mt-1 break-words text-faint text-xs">for {attempt.recipients.join(', ')}</p>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  )
}

function remoteText(remote: Record<string, unknown> & { host: string }): string {
  const { host, address, port, tls } = remote
  const place = address ? `${host} [${address}]${port ? `:${port}` : ''}` : host
  return tls ? `${place} ${tls}` : place
}
