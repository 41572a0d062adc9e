import type { Rfc } from '@postern/contract/rfcs.ts'
import { useQuery } from '@tanstack/react-query'
import { all } from '../../api/queries.ts'
import { Badge } from '../../ui/Badge.tsx'
import { Loaded, Page, Panel } from '../../ui/Page.tsx'

/** The published table: the standards that this server supports, and the tests that prove it. */
export function Rfcs() {
  const query = useQuery({
    queryKey: ['rfcs'],
    queryFn: () => all<Rfc>('/v1/rfcs'),
    staleTime: Number.POSITIVE_INFINITY,
  })
  return (
    <Page
      title="Supported SMTP RFCs"
      help="Generated from the code: a standard is listed only if tests prove it. Grey words are EHLO keywords."
    >
      <Panel flush>
        <Loaded query={query}>
          {(rfcs) => (
            <ul aria-label="Supported SMTP RFCs" className="divide-y divide-line">
              {rfcs.map((rfc) => (
                <Row key={rfc.number} rfc={rfc} />
              ))}
            </ul>
          )}
        </Loaded>
      </Panel>
    </Page>
  )
}

function Row({ rfc: { number, title, what, note, keywords, tests } }: { rfc: Rfc }) {
  return (
    <li className="grid gap-x-4 gap-y-1 px-4 py-3 text-sm sm:grid-cols-[6rem_minmax(0,1fr)]">
      <span className="mono pt-0.5">RFC {number}</span>
      <div className="min-w-0">
        <p className="flex flex-wrap items-center gap-2 font-medium">
          {title}
          {keywords.map((keyword) => (
            <Badge key={keyword}>{keyword}</Badge>
          ))}
        </p>
        <p>{what}</p>
        {note && <p className="text-soft">{note}</p>}
        <p className="mono text-soft text-xs [overflow-wrap:anywhere]">{tests.join(' · ')}</p>
      </div>
    </li>
  )
}
