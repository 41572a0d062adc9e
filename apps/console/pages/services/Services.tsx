import { services as known } from '@postern/contract/services.ts'
import type { ServiceView } from '@postern/contract/views.ts'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { servicesQuery } from '../../api/queries.ts'
import { useMay } from '../../api/role.ts'
import { StateBadge } from '../../ui/Badge.tsx'
import { Checkbox } from '../../ui/Controls.tsx'
import { plural } from '../../ui/format.ts'
import { Loaded, Page, Panel } from '../../ui/Page.tsx'
import { ServiceActions } from './ServiceActions.tsx'
import { WorkerList } from './WorkerList.tsx'

/** Service Administration: all services, one or several at once. */
export function Services() {
  const query = useQuery(servicesQuery)
  return (
    <Page
      title="Services"
      help="Start, stop and restart services, one by one or together."
      needs={{ role: 'operator', to: 'start, stop or restart a service' }}
    >
      <Loaded query={query}>{(services) => <List services={services} />}</Loaded>
    </Page>
  )
}

function List({ services }: { services: readonly ServiceView[] }) {
  const may = useMay('operator')
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const some = services.filter(({ name }) => chosen.has(name))
  return (
    <div className="flex flex-col gap-5">
      {may && (
        <div className="flex min-h-8 flex-wrap items-center gap-4">
          <Checkbox
            label={some.length === 0 ? 'All services' : `${plural(some.length, 'service')} selected`}
            checked={some.length === services.length}
            onChange={(event) => setChosen(new Set(event.target.checked ? services.map(({ name }) => name) : []))}
          />
          {some.length > 0 && <ServiceActions services={some} />}
        </div>
      )}
      {services.map((service) => (
        <Panel
          key={service.name}
          flush
          title={
            <span className="flex items-center gap-3">
              {may && (
                <Checkbox
                  label={`Select ${service.title}`}
                  hideLabel
                  checked={chosen.has(service.name)}
                  onChange={(event) => {
                    const next = new Set(chosen)
                    if (event.target.checked) next.add(service.name)
                    else next.delete(service.name)
                    setChosen(next)
                  }}
                />
              )}
              <Link to="/services/$name" params={{ name: service.name }} className="hover:underline">
                {service.title}
              </Link>
              <StateBadge state={service.observed} />
            </span>
          }
          aside={<ServiceActions services={[service]} />}
        >
          <p className="px-4 pt-3 text-soft text-sm">{known[service.name].help}</p>
          <WorkerList workers={service.workers} />
        </Panel>
      ))}
    </div>
  )
}
