import type { revisionDetailSchema } from '@postern/contract/views.ts'
import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { RotateCcw, Undo2 } from 'lucide-react'
import { useState } from 'react'
import { toast } from 'sonner'
import type { z } from 'zod'
import { call } from '../../api/client.ts'
import { ApiProblem, explain } from '../../api/problem.ts'
import { useMay } from '../../api/role.ts'
import { DiffView } from '../../review/DiffView.tsx'
import { useReview } from '../../review/review.tsx'
import { Button } from '../../ui/Button.tsx'
import { Input } from '../../ui/Controls.tsx'
import { LabelledField } from '../../ui/LabelledField.tsx'
import { Fact, Facts, Loaded, Page, Panel } from '../../ui/Page.tsx'
import { At } from '../../ui/Time.tsx'

type Detail = z.infer<typeof revisionDetailSchema>

export function Revision() {
  const { revision } = useParams({ from: '/revisions/$revision' })
  const number = Number(revision)
  const [against, setAgainst] = useState('')
  const review = useReview()
  const may = useMay('admin')
  const query = useQuery({
    queryKey: ['revision', number, against],
    queryFn: () => call<Detail>({ path: `/v1/revisions/${number}`, query: { against: against || undefined } }),
  })
  const askRevert = (dangers: readonly string[]) =>
    review({
      title: `Revert revision ${number}`,
      about: 'Creates a new revision that undoes only this change. Later changes stay.',
      dangers,
      verb: dangers.length > 0 ? 'Revert anyway' : 'Revert this change',
      look: dangers.length > 0 ? 'danger' : 'primary',
      request: { method: 'POST', path: `/v1/revisions/${number}/revert`, body: { force: dangers.length > 0 } },
    })
  const revert = () =>
    askRevert([])
      .catch((error: unknown) => {
        if (!(error instanceof ApiProblem) || error.status !== 409) throw error
        return askRevert(error.errors.map(({ path, message }) => `${path}: ${message}`))
      })
      .catch((error: unknown) => toast.error(explain(error)))
  const goBack = () =>
    review({
      title: `Roll back to revision ${number}`,
      about: `Creates a new revision with everything as it was after revision ${number}. Later changes stay in the history.`,
      verb: 'Roll back',
      request: { method: 'POST', path: `/v1/revisions/${number}/rollback` },
    }).catch((error: unknown) => toast.error(explain(error)))
  return (
    <Page
      title={`Revision ${revision}`}
      narrow
      needs={{ role: 'admin', to: 'roll back to a revision' }}
      actions={
        may &&
        !query.error && (
          <>
            <Button look="primary" onClick={() => void revert()}>
              <Undo2 aria-hidden="true" /> Revert this change
            </Button>
            <Button onClick={() => void goBack()}>
              <RotateCcw aria-hidden="true" /> Roll back to this revision
            </Button>
          </>
        )
      }
    >
      <div className="flex flex-col gap-5">
        <Loaded query={query}>
          {(detail) => (
            <>
              <Panel>
                <Facts>
                  <Fact name="Who">{detail.actor}</Fact>
                  <Fact name="When">
                    <At at={detail.at} />
                  </Fact>
                  <Fact name="Comment">{detail.comment || <span className="text-faint">none</span>}</Fact>
                  {detail.rolledBackTo !== undefined && (
                    <Fact name="Rolled back to">revision {detail.rolledBackTo}</Fact>
                  )}
                </Facts>
              </Panel>
              <section>
                <div className="mb-3 flex flex-wrap items-end justify-between gap-3">
                  <h2 className="font-semibold text-lg">
                    {against === '' ? 'Changes' : `Differences from revision ${detail.against}`}
                  </h2>
                  <Against value={against} onChange={setAgainst} />
                </div>
                <DiffView diff={detail.diff} />
              </section>
            </>
          )}
        </Loaded>
        <nav aria-label="Other revisions" className="flex justify-between text-sm">
          {number > 1 ? (
            <Link
              to="/revisions/$revision"
              params={{ revision: String(number - 1) }}
              className="text-accent hover:underline"
            >
              Previous: {number - 1}
            </Link>
          ) : (
            <span />
          )}
          <Link to="/revisions" className="text-accent hover:underline">
            All revisions
          </Link>
          <Link
            to="/revisions/$revision"
            params={{ revision: String(number + 1) }}
            className="text-accent hover:underline"
          >
            Next: {number + 1}
          </Link>
        </nav>
      </div>
    </Page>
  )
}

function Against({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  return (
    <LabelledField label="Compare with">
      {(wiring) => (
        <Input
          {...wiring}
          inputMode="numeric"
          placeholder="previous"
          className="w-36"
          defaultValue={value}
          onBlur={(event) => onChange(event.target.value.replace(/\D/g, ''))}
          onKeyDown={(event) => event.key === 'Enter' && onChange(event.currentTarget.value.replace(/\D/g, ''))}
        />
      )}
    </LabelledField>
  )
}
