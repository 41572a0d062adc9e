import { type SettingGroup, settingGroupNames, settingGroups } from '@postern/contract/settings.ts'
import type { PortInForce } from '@postern/contract/views.ts'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { call } from '../../api/client.ts'
import { Loaded, Page, Panel } from '../../ui/Page.tsx'
import { NotFound } from '../NotFound.tsx'
import { SettingsForm } from './SettingsForm.tsx'

export type GroupView = {
  revision: number
  group: SettingGroup
  settings: Record<string, unknown>
  /** `advanced.port` → `POSTERN_SMTP_PORT=2525`. */
  fixed?: Record<string, string>
  /** Ports that are in force otherwise than saved. */
  inForce?: Record<string, PortInForce[]>
}

export const groupQuery = (group: SettingGroup) => ({
  queryKey: ['settings', group],
  queryFn: () => call<GroupView>({ path: `/v1/settings/${group}` }),
  // What workers have open follows a change a moment later.
  refetchInterval: group === 'advanced' || group === 'tls' ? 5_000 : (false as const),
})

export function SettingsPage() {
  const { group } = useParams({ from: '/settings/$group' })
  const known = settingGroupNames.find((name) => name === group)
  return known ? <Group key={known} group={known} /> : <NotFound />
}

function Group({ group }: { group: SettingGroup }) {
  const { title, help } = settingGroups[group]
  const client = useQueryClient()
  const query = useQuery(groupQuery(group))
  return (
    <Page title={title} help={help} narrow needs={{ role: 'admin', to: 'change settings' }}>
      {group === 'advanced' && (
        <p className="mb-4 rounded-lg bg-warn-soft px-4 py-3 text-sm text-warn">
          These settings change how this server answers other servers and mail clients. A wrong value can stop mail
          without any error here.
        </p>
      )}
      <Loaded query={query} rows={10}>
        {(view) => (
          <Panel flush>
            <SettingsForm view={view} reload={() => client.fetchQuery({ ...groupQuery(group), staleTime: 0 })} />
          </Panel>
        )}
      </Loaded>
    </Page>
  )
}
