import type { Replay, ReplayChange } from '@postern/contract/replay.ts'
import { useMemo } from 'react'
import { Badge } from '../../ui/Badge.tsx'
import { formatCount, plural } from '../../ui/format.ts'
import { Fact, Facts, Panel } from '../../ui/Page.tsx'
import { At } from '../../ui/Time.tsx'
import { Chart } from '../overview/Chart.tsx'
import { headlineOf, notKnownOf } from './headline.ts'

/** The result of a replay: counts, times, the changes, and what is unknown. */
export function Result({ job }: { job: Replay }) {
  const { sessions = 0, verdicts = 0, changedSessions = 0, changes = [] } = job
  return (
    <section aria-label="Result" className="flex flex-col gap-4">
      <Panel title={headlineOf(job)}>
        <NotKnown lines={notKnownOf(job)} />
        <p role="status" className="mb-3 text-sm">
          {formatCount(changedSessions)} of {plural(sessions, 'session')} would be decided differently.
        </p>
        <Facts>
          <Fact name="Sessions">{formatCount(sessions)}</Fact>
          <Fact name="Verdicts">{formatCount(verdicts)}</Fact>
          <Fact name="Took">{((job.tookMs ?? 0) / 1000).toFixed(1)} s</Fact>
          <Fact name="Settings in force">revision {job.revision}</Fact>
        </Facts>
        {sessions > 0 && <Timeline job={job} />}
      </Panel>
      <Unknown job={job} />
      {changes.map((change) => (
        <Change
          key={`${change.stage} ${change.before.rule} ${change.after.rule} ${change.after.reply}`}
          change={change}
        />
      ))}
    </section>
  )
}

/** Shown in amber where people look first: "0 would change" proves nothing while most is unknown. */
function NotKnown({ lines }: { lines: readonly string[] }) {
  if (lines.length === 0) return null
  return (
    <ul role="alert" className="mb-3 flex flex-col gap-1 rounded-md bg-warn-soft px-3 py-2 text-sm text-warn">
      {lines.map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  )
}

function Timeline({ job }: { job: Replay }) {
  const { times, series } = useMemo(() => {
    const points = job.timeline ?? []
    return {
      times: points.map(({ at }) => Date.parse(at)),
      series: [
        {
          label: 'sessions',
          color: 'accent' as const,
          look: 'area' as const,
          values: points.map(({ sessions }) => sessions),
        },
        {
          label: 'changed',
          color: 'danger' as const,
          look: 'line' as const,
          values: points.map(({ changed }) => changed),
        },
      ],
    }
  }, [job])
  const label = `Sessions over time: ${job.sessions}, of which ${job.changedSessions} would change`
  return (
    <div className="mt-4">
      <Chart label={label} times={times} series={series} />
    </div>
  )
}

/** What these numbers do not include. */
function Unknown({ job: { notAnswerable = [], withoutVerdict } }: { job: Replay }) {
  const lines = [
    ...notAnswerable.map(
      ({ rule, sessions, answers }) =>
        `${rule} needs facts that were not recorded for ${plural(answers, 'verdict')} in ${plural(sessions, 'session')}.`,
    ),
    ...withoutVerdict.map((key) => `${key} does not affect SMTP replies, so these numbers do not include it.`),
  ]
  if (lines.length === 0) return null
  return (
    <Panel title="Not included">
      <ul className="flex list-disc flex-col gap-1 pl-5 text-sm">
        {lines.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
    </Panel>
  )
}

function Change({ change }: { change: ReplayChange }) {
  const { stage, before, after, count, elsewhere, examples } = change
  return (
    <Panel
      title={
        <span>
          {stage}: {before.rule} → {elsewhere ? 'delivered elsewhere' : after.rule}
        </span>
      }
      aside={<Badge tone="info">{formatCount(count)}</Badge>}
    >
      <Facts>
        <Fact name="Now">
          <span className="mono">{replyText(before.reply)}</span>
        </Fact>
        <Fact name="With the draft">
          <span className="mono">{replyText(after.reply)}</span>{' '}
          {after.close && <Badge tone="danger">connection closes</Badge>}
        </Fact>
      </Facts>
      {examples.length > 0 && (
        <div className="mt-3">
          <table className="w-full text-left text-sm" aria-label={`Examples: ${before.rule} to ${after.rule}`}>
            <thead className="text-faint">
              <tr>
                {['When', 'Client', 'Sender', 'Recipient', 'Why'].map((name) => (
                  <th key={name} scope="col" className="py-1 pr-4 font-normal">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {examples.map((example, i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: the examples of one result never move
                <tr key={i} className="border-line border-t align-top">
                  <td className="py-1 pr-4">
                    <At at={example.at} />
                  </td>
                  <td className="mono py-1 pr-4">{example.ip}</td>
                  <td className="mono py-1 pr-4 [overflow-wrap:anywhere]">{example.sender ?? ''}</td>
                  <td className="mono py-1 pr-4 [overflow-wrap:anywhere]">{example.recipient ?? ''}</td>
                  <td className="py-1 text-soft [overflow-wrap:anywhere]">{example.after}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  )
}

/** In the words of Simulate. */
function replyText(reply: string): string {
  return reply === 'proceed' ? 'continues' : reply
}
