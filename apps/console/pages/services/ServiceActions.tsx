import type { ServiceName } from '@postern/contract/services.ts'
import type { ServiceView, WriteResult } from '@postern/contract/views.ts'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Play, RotateCw, Square } from 'lucide-react'
import { useState } from 'react'
import { toast } from 'sonner'
import { call } from '../../api/client.ts'
import { explain } from '../../api/problem.ts'
import { useMay } from '../../api/role.ts'
import { followRollout } from '../../shell/rollout.ts'
import { Button } from '../../ui/Button.tsx'
import { Dialog } from '../../ui/Dialog.tsx'

export type Verb = 'start' | 'stop' | 'restart'
type Named = Pick<ServiceView, 'name' | 'title' | 'desired' | 'workers'>

/** Describes the effect of a stop, shown before it is carried out. */
const stopping: Record<ServiceName, string> = {
  smtp: 'The ports close. Idle sessions get 421 4.3.2, and transactions in progress may finish. Other servers keep their mail and try again later. Queued mail is still delivered.',
  queue: 'Deliveries in progress finish; then nothing is delivered. Mail is still accepted and waits in the spool.',
}

/** Start, stop and restart for one service or for several at once. */
export function ServiceActions({ services }: { services: readonly Named[] }) {
  const client = useQueryClient()
  const may = useMay('operator')
  const [asking, setAsking] = useState(false)
  const act = useMutation({
    mutationFn: (verb: Verb) =>
      call<WriteResult>({
        method: 'POST',
        path: '/v1/services/actions',
        body: { action: verb, services: services.map((service) => service.name) },
      }),
    onSuccess: (result, verb) => {
      followRollout(result.revision)
      toast.success(`${services.map(({ title }) => title).join(' and ')}: ${done[verb]}`)
    },
    onError: (error) => toast.error(explain(error)),
    onSettled: () => client.invalidateQueries({ queryKey: ['services'] }),
  })
  if (!may) return null
  const several = services.length > 1
  const name = several ? 'selected services' : (services[0]?.title ?? '')
  const running = services.some(({ desired }) => desired === 'running')
  const stopped = services.some(({ desired }) => desired === 'stopped')
  return (
    <div className="flex flex-wrap gap-2">
      {stopped && (
        <Button look="primary" busy={act.isPending} aria-label={`Start ${name}`} onClick={() => act.mutate('start')}>
          <Play aria-hidden="true" /> Start
        </Button>
      )}
      {running && (
        <>
          <Button busy={act.isPending} aria-label={`Restart ${name}`} onClick={() => act.mutate('restart')}>
            <RotateCw aria-hidden="true" /> Restart
          </Button>
          <Button busy={act.isPending} aria-label={`Stop ${name}`} onClick={() => setAsking(true)}>
            <Square aria-hidden="true" /> Stop
          </Button>
        </>
      )}
      {asking && (
        <Dialog
          title={several ? `Stop ${services.length} services?` : `Stop the ${name}?`}
          onClose={() => setAsking(false)}
          footer={
            <>
              <Button look="quiet" onClick={() => setAsking(false)}>
                Cancel
              </Button>
              <Button
                look="danger"
                onClick={() => {
                  setAsking(false)
                  act.mutate('stop')
                }}
              >
                Stop
              </Button>
            </>
          }
        >
          <ul className="flex flex-col gap-3 text-sm">
            {services.map((service) => (
              <li key={service.name}>
                <p className="font-medium">{service.title}</p>
                <p className="text-soft">{stopping[service.name]}</p>
                <p className="text-soft">{openNow(service)}</p>
              </li>
            ))}
          </ul>
        </Dialog>
      )}
    </div>
  )
}

const done: Record<Verb, string> = {
  start: 'starting',
  stop: 'stopping',
  restart: 'restarting without refusing clients',
}

function openNow(service: Named): string {
  const open = service.workers.reduce((sum, worker) => sum + (worker.live ? worker.sessions : 0), 0)
  return service.name === 'smtp' ? `${open} sessions are open now.` : `${open} deliveries are in progress now.`
}
