import type { SettingGroup } from '@postern/contract/settings.ts'
import type { PortInForce } from '@postern/contract/views.ts'
import { call } from '../../api/client.ts'

/** A settings group as returned by the API. */
export type GroupView = {
  revision: number
  group: SettingGroup
  settings: Record<string, unknown>
  /** `advanced.port` → `POSTERN_SMTP_PORT=2525`. */
  fixed?: Record<string, string>
  /** Ports in force that differ from the saved ones. */
  inForce?: Record<string, PortInForce[]>
}

export const groupQuery = (group: SettingGroup) => ({
  queryKey: ['settings', group],
  queryFn: () => call<GroupView>({ path: `/v1/settings/${group}` }),
  // The workers' open ports follow a change a moment later.
  refetchInterval: group === 'advanced' || group === 'tls' ? 5_000 : (false as const),
})
