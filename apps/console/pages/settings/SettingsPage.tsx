import { type SettingGroup, settingGroupNames, settingGroups } from '@postern/contract/settings.ts'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { Loaded, Page, Panel } from '../../ui/Page.tsx'
import { NotFound } from '../NotFound.tsx'
import { groupQuery } from './group.ts'
import { SettingsForm } from './SettingsForm.tsx'

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
