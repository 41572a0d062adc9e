import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { formatCount } from '../../ui/format.ts'
import { Loaded } from '../../ui/Page.tsx'
import { Ago } from '../../ui/Time.tsx'
import type { QueueSummary } from './queries.ts'

type Query = { data: QueueSummary | undefined; error: unknown; refetch: () => unknown }

/** The waiting mail by state and by domain. Each figure is a filter. */
export function Summary({ query }: { query: Query }) {
  return (
    <div className="min-h-28">
      <Loaded query={query} rows={2}>
        {(summary) => (
          <div className="grid gap-5 md:grid-cols-[auto_1fr]">
            <div className="flex flex-col gap-1 text-sm">
              <p>
                <span className="font-semibold text-xl">{formatCount(summary.messages)}</span>{' '}
                <span className="text-soft">waiting</span>
              </p>
              <p className="flex gap-x-3 text-soft">
                {(['active', 'deferred', 'held'] as const).map((state) => (
                  <Link key={state} to="/queue" search={{ state }} className="hover:underline">
                    {formatCount(summary.byState[state] ?? 0)} {state}
                  </Link>
                ))}
              </p>
              {summary.oldestReceivedAt && (
                <p className="text-soft">
                  Oldest: <Ago at={summary.oldestReceivedAt} />
                </p>
              )}
            </div>
            <Top title="Domains">
              {summary.topDomains.slice(0, 4).map(({ domain, messages }) => (
                <TopLine key={domain} messages={messages} of={summary.messages}>
                  <Link to="/queue" search={{ domain }} className="truncate hover:underline">
                    {domain}
                  </Link>
                </TopLine>
              ))}
            </Top>
          </div>
        )}
      </Loaded>
    </div>
  )
}

function Top({ title, children }: { title: string; children: ReactNode[] }) {
  if (children.length === 0) return null
  return (
    <div className="min-w-0 text-sm">
      <h2 className="mb-1 text-faint text-xs">{title}</h2>
      <ul className="flex flex-col gap-0.5">{children}</ul>
    </div>
  )
}

/** One line with a bar for its share of the queue, and the number beside it. */
function TopLine({ messages, of, children }: { messages: number; of: number; children: ReactNode }) {
  const share = of > 0 ? Math.max(2, Math.min(100, (messages / of) * 100)) : 0
  return (
    <li className="grid min-w-0 grid-cols-[4.5rem_2rem_minmax(0,1fr)] items-center gap-2">
      <span aria-hidden="true" className="h-1.5 overflow-hidden rounded-full bg-sunken">
        <span className="block h-full rounded-full bg-warn" style={{ width: `${share}%` }} />
      </span>
      <span className="text-right text-soft">{formatCount(messages)}</span>
      {children}
    </li>
  )
}
