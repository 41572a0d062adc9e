import type { Replay as Job } from '@postern/contract/replay.ts'
import { useMutation, useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/client.ts'
import { ApiProblem } from '../../api/problem.ts'
import { DraftEditor } from '../../draft/DraftEditor.tsx'
import { readDraft, useDraftText } from '../../draft/draft.ts'
import { Button } from '../../ui/Button.tsx'
import { Input } from '../../ui/Controls.tsx'
import { formatCount } from '../../ui/format.ts'
import { LabelledField } from '../../ui/LabelledField.tsx'
import { Failure, Page, Panel } from '../../ui/Page.tsx'
import { Result } from './Result.tsx'

const day = 86_400_000

/** Compares a draft with recorded traffic: how many verdicts would change, which ones, and why. */
export function Replay() {
  const [since, setSince] = useState(() => local(Date.now() - day))
  const [until, setUntil] = useState(() => local(Date.now() + 60_000))
  const draftText = useDraftText()
  const [wrong, setWrong] = useState<string>()
  const start = useMutation({
    mutationFn: (body: object) => call<Job>({ method: 'POST', path: '/v1/replay', body: { ...body, waitSeconds: 0 } }),
    onError: (error) =>
      setWrong(error instanceof ApiProblem ? error.errors.map(({ message }) => message).join('; ') : undefined),
  })
  const id = start.data?.id
  const job = useQuery({
    queryKey: ['replay', id],
    queryFn: () => call<Job>({ path: `/v1/replay/${id}` }),
    enabled: id !== undefined,
    refetchInterval: ({ state }) => (state.data && state.data.state !== 'running' ? false : 400),
  })

  function onSubmit(event: FormEvent) {
    event.preventDefault()
    const { draft = {}, error } = readDraft(draftText)
    setWrong(error)
    if (!error) start.mutate({ draft, since: new Date(since).toISOString(), until: new Date(until).toISOString() })
  }

  const found = job.data ?? start.data
  return (
    <Page
      title="Replay"
      help="Runs recorded sessions with the current settings and with a draft, and shows which verdicts would change, and why. Nothing is saved."
    >
      <div className="grid gap-5 xl:grid-cols-[minmax(20rem,26rem)_1fr]">
        <Panel title="Draft and period">
          <form onSubmit={onSubmit} noValidate aria-label="Replay" className="flex flex-col gap-3.5">
            <DraftEditor error={wrong} />
            <Time label="Since" value={since} onChange={setSince} />
            <Time label="Until" value={until} onChange={setUntil} />
            <div>
              <Button type="submit" look="primary" busy={start.isPending || found?.state === 'running'}>
                Replay
              </Button>
            </div>
          </form>
        </Panel>
        <div className="min-w-0">
          {start.error ? <Failure error={start.error} /> : found ? <Progress job={found} /> : <Nothing />}
        </div>
      </div>
    </Page>
  )
}

function Time({ label, value, onChange }: { label: string; value: string; onChange: (value: string) => void }) {
  return (
    <LabelledField label={label}>
      {(wiring) => (
        <Input {...wiring} type="datetime-local" value={value} onChange={(event) => onChange(event.target.value)} />
      )}
    </LabelledField>
  )
}

function Progress({ job }: { job: Job }) {
  if (job.state === 'failed') return <Failure error={new Error(job.error ?? 'The replay failed.')} />
  if (job.state === 'done') return <Result job={job} />
  const { sessions, of } = job.progress
  return (
    <Panel title="Replaying">
      <p role="status" className="text-sm">
        {formatCount(sessions)} of about {formatCount(of)} sessions
      </p>
      <progress className="mt-2 w-full" aria-label="Sessions replayed" value={sessions} max={Math.max(1, of)} />
    </Panel>
  )
}

function Nothing() {
  return (
    <Panel>
      <p className="text-soft text-sm">
        Take a draft from a settings form (“Replay yesterday’s mail”) or write one, and press Replay. Workers record the
        facts that decisions use, never a message’s body.
      </p>
    </Panel>
  )
}

/** Formats a time for the browser's control for local times. */
function local(at: number): string {
  const offset = new Date(at).getTimezoneOffset() * 60_000
  return new Date(at - offset).toISOString().slice(0, 16)
}
