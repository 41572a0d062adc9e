import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import clsx from 'clsx'
import { Check, LoaderCircle, TriangleAlert, X } from 'lucide-react'
import { useEffect } from 'react'
import { workersQuery } from '../api/queries.ts'
import { IconButton } from '../ui/Button.tsx'
import { useNow } from '../ui/Time.tsx'
import { visibleText } from '../ui/visible-text.ts'
import { type Rollout, rolloutOf, stopFollowing, useFollowing } from './rollout.ts'

/** Follows the newest change until every live worker has it. */
export function RolloutStrip() {
  const following = useFollowing()
  return following && <Strip key={following.revision} {...following} />
}

/** Polling interval in milliseconds while it follows a change. */
const rolloutMs = 400
/** A worker that takes longer than this is reported. */
const timeoutMs = 5000

function Strip({ revision, since }: { revision: number; since: number }) {
  const now = useNow(500)
  const { data: workers = [] } = useQuery(workersQuery(rolloutMs))
  const rollout = rolloutOf(revision, workers)
  const late = !rollout.done && now - since > timeoutMs
  useEffect(() => {
    if (!rollout.done || rollout.silent.length > 0) return
    const timer = setTimeout(stopFollowing, 12_000)
    return () => clearTimeout(timer)
  }, [rollout.done, rollout.silent.length])

  const bad = rollout.refused.length > 0
  return (
    <div
      role="status"
      data-testid="rollout"
      data-done={rollout.done}
      className={clsx(
        'fixed inset-x-3 bottom-3 z-30 flex items-center gap-3 rounded-lg border py-2 pr-2 pl-4 shadow-(color:--shadow) shadow-lg sm:right-6 sm:left-auto sm:max-w-xl',
        bad ? 'border-danger bg-danger-soft' : 'border-line bg-raised',
      )}
    >
      <Sign rollout={rollout} late={late} />
      <div className="min-w-0 text-sm">
        <p className="font-medium">
          {rollout.on} of {rollout.of} {rollout.of === 1 ? 'worker' : 'workers'} on {revision}
        </p>
        {bad && (
          <ul className="text-danger">
            {rollout.refused.map(({ id, error, inForce }) => (
              <li key={id} className="break-words">
                {id} refused it: <span className="stranger">{visibleText(error)}</span>. It still uses revision{' '}
                {inForce}.
              </li>
            ))}
          </ul>
        )}
        {late && rollout.behind.length > 0 && (
          <p className="text-warn">Still waiting for {rollout.behind.join(', ')}.</p>
        )}
        {late && rollout.of === 0 && (
          <p className="text-warn">No worker reports. Workers apply it when they are back.</p>
        )}
        {rollout.silent.length > 0 && <p className="text-soft">Silent: {rollout.silent.join(', ')}.</p>}
      </div>
      <Link
        to="/revisions/$revision"
        params={{ revision: String(revision) }}
        className="ml-auto whitespace-nowrap text-accent text-sm underline"
      >
        Details
      </Link>
      <IconButton label="Dismiss" onClick={stopFollowing}>
        <X />
      </IconButton>
    </div>
  )
}

function Sign({ rollout, late }: { rollout: Rollout; late: boolean }) {
  if (rollout.refused.length > 0 || late)
    return <TriangleAlert aria-hidden="true" className={clsx('size-5 shrink-0', late ? 'text-warn' : 'text-danger')} />
  if (rollout.done) return <Check aria-hidden="true" className="size-5 shrink-0 text-accent" />
  return <LoaderCircle aria-hidden="true" className="size-5 shrink-0 animate-spin text-accent" />
}
