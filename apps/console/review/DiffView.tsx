import type { RowDiff } from '@postern/contract/views.ts'
import { Badge } from '../ui/Badge.tsx'
import { diffLines, rowTitle } from './diff-lines.ts'

/** The changes, leaf by leaf. Removed and added values have a sign in addition to their colour. */
export function DiffView({ diff }: { diff: readonly RowDiff[] }) {
  if (diff.length === 0) return <p className="text-soft text-sm">Nothing changes.</p>
  return (
    <div className="flex flex-col gap-3">
      {diff.slice(0, 200).map((row) => (
        <RowView key={`${row.kind} ${row.id}`} row={row} />
      ))}
      {diff.length > 200 && <p className="text-soft text-sm">… and {diff.length - 200} more rows.</p>}
    </div>
  )
}

function RowView({ row }: { row: RowDiff }) {
  const made = row.before === null || row.before === undefined
  const gone = row.after === null || row.after === undefined
  return (
    <section className="overflow-hidden rounded-md border border-line">
      <h3 className="flex items-center gap-2 border-line border-b bg-page px-3 py-1.5 font-medium text-sm">
        <span className="min-w-0 break-words">{rowTitle(row)}</span>
        {made && <Badge tone="good">new</Badge>}
        {gone && <Badge tone="danger">deleted</Badge>}
      </h3>
      <dl className="divide-y divide-line bg-raised">
        {diffLines(row).map((line) => (
          <div key={line.path} className="grid gap-x-4 gap-y-0.5 px-3 py-1.5 text-sm sm:grid-cols-[14rem_1fr]">
            <dt className="text-soft">{line.title || 'Value'}</dt>
            <dd className="min-w-0">
              {line.before !== undefined && !(gone && line.after !== undefined) && <Side sign="−" text={line.before} />}
              {line.after !== undefined && <Side sign="+" text={line.after} />}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

function Side({ sign, text }: { sign: '−' | '+'; text: string }) {
  const removed = sign === '−'
  const Mark = removed ? 'del' : 'ins'
  return (
    <Mark
      className={`flex gap-2 px-1.5 no-underline ${removed ? 'bg-danger-soft text-danger' : 'bg-accent-soft text-accent'}`}
    >
      <span aria-hidden="true" className="select-none">
        {sign}
      </span>
      <span className="stranger min-w-0">{clip(text)}</span>
    </Mark>
  )
}

const clip = (text: string): string => (text.length > 4000 ? `${text.slice(0, 4000)} …` : text)
