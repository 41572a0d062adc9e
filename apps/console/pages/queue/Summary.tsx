import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { formatCount } from '../../ui/format.ts'
import { Loaded } from '../../ui/Page.tsx'
import { Ago } from '../../ui/Time.tsx'
import type { QueueSummary } from './shapes.ts'

type Query = { data: QueueSummary | undefined; error: unknown; refetch: () => unknown }

/** What waits, by state, by domain and by cause; each figure is a filter. */
export function Summary({ query }: { query: Query }) {
  return (
    <div className="min-h-28">
      <Loaded query={query} rows={2}>
        {(summary) => (
          <div className="grid gap-5 md:grid-cols-[auto_1fr_2fr]">
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
                <TopLine key={domain} messages={messages}>
                  <Link to="/queue" search={{ domain }} className="truncate hover:underline">
                    {domain}
                  </Link>
                </TopLine>
              ))}
            </Top>
            <Top title="Causes">
              {summary.topCauses.slice(0, 4).map(({ cause, messages }) => (
                <TopLine key={cause} messages={messages}>
                  <Link
                    to="/queue"
                    search={{ cause: cause.slice(0, 200) }}
                    title={cause}
                    className="truncate hover:underline"
                  >
                    <bdi>{cause}</bdi>
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

function TopLine({ messages, children }: { messages: number; children: ReactNode }) {
  return (
    <li className="flex min-w-0 items-baseline gap-2">
      <span className="w-12 shrink-0 text-right text-faint">{formatCount(messages)}</span>
      {children}
    </li>
  )
}
