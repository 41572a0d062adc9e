import { services as known, serviceNames } from '@postern/contract/services.ts'
import { settingGroups } from '@postern/contract/settings.ts'
import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { servicesQuery } from '../../api/queries.ts'
import { StateBadge } from '../../ui/Badge.tsx'
import { Fact, Facts, Loaded, Page, Panel } from '../../ui/Page.tsx'
import { NotFound } from '../NotFound.tsx'
import { ServiceActions } from './ServiceActions.tsx'
import { WorkerList } from './WorkerList.tsx'

const pagesOf = {
  smtp: ['general', 'tls', 'security', 'harvesting', 'dictionary', 'advanced'],
  queue: ['queue', 'general'],
} as const

export function ServicePage() {
  const { name: asked } = useParams({ from: '/services/$name' })
  const query = useQuery(servicesQuery)
  const name = serviceNames.find((one) => one === asked)
  if (!name) return <NotFound />
  return (
    <Loaded query={query}>
      {(services) => {
        const service = services.find((one) => one.name === name)
        if (!service) return <NotFound />
        return (
          <Page
            title={service.title}
            help={known[name].help}
            actions={<ServiceActions services={[service]} />}
            needs={{ role: 'operator', to: 'start, stop or restart a service' }}
          >
            <div className="flex flex-col gap-5">
              <Panel title="State">
                <Facts>
                  <Fact name="Current state">
                    <StateBadge state={service.observed} />
                  </Fact>
                  <Fact name="Requested state">{service.desired}</Fact>
                  <Fact name="Version">{service.version}</Fact>
                  <Fact name="Restarts">{service.generation}</Fact>
                  <Fact name="Settings">
                    {pagesOf[name].map((group) => (
                      <Link
                        key={group}
                        to="/settings/$group"
                        params={{ group }}
                        className="mr-4 inline-block text-accent hover:underline"
                      >
                        {settingGroups[group].title}
                      </Link>
                    ))}
                  </Fact>
                </Facts>
              </Panel>
              <Panel title="Workers" flush>
                <WorkerList workers={service.workers} />
              </Panel>
            </div>
          </Page>
        )
      }}
    </Loaded>
  )
}
