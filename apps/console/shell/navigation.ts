import { lists } from '@postern/contract/lists.ts'
import { settingGroupNames, settingGroups } from '@postern/contract/settings.ts'
import {
  Activity,
  BookCheck,
  BookUser,
  FlaskConical,
  Gauge,
  History,
  Inbox,
  type LucideIcon,
  Mails,
  Power,
  Rewind,
  ScrollText,
  Server,
  ShieldBan,
  SlidersHorizontal,
  Users,
} from 'lucide-react'

export type Place = {
  to: string
  label: string
  icon: LucideIcon
  /** The second key after `g`. */
  key: string
  under?: readonly { to: string; label: string }[]
}

/** The navigation entries, in the order in which an administrator needs them in an emergency. */
export const places: readonly Place[] = [
  { to: '/', label: 'Overview', icon: Gauge, key: 'o' },
  { to: '/services', label: 'Services', icon: Power, key: 's' },
  { to: '/queue', label: 'Queue', icon: Inbox, key: 'q' },
  { to: '/messages', label: 'Messages', icon: Mails, key: 'i' },
  { to: '/events', label: 'Events', icon: Activity, key: 'e' },
  {
    to: '/settings',
    label: 'Settings',
    icon: SlidersHorizontal,
    key: 't',
    under: settingGroupNames.map((group) => ({ to: `/settings/${group}`, label: settingGroups[group].title })),
  },
  {
    to: '/lists',
    label: 'Lists',
    icon: ShieldBan,
    key: 'l',
    under: Object.entries(lists).map(([name, { title }]) => ({ to: `/lists/${name}`, label: title })),
  },
  {
    to: '/directory',
    label: 'Directory',
    icon: BookUser,
    key: 'd',
    under: [
      { to: '/directory/domains', label: 'Domains' },
      { to: '/directory/accounts', label: 'Accounts' },
      { to: '/directory/aliases', label: 'Aliases' },
      { to: '/directory/groups', label: 'Groups' },
      { to: '/directory/certificates', label: 'Certificates' },
      { to: '/directory/dkim-keys', label: 'DKIM keys' },
    ],
  },
  { to: '/simulate', label: 'Simulate', icon: FlaskConical, key: 'm' },
  { to: '/replay', label: 'Replay', icon: Rewind, key: 'p' },
  { to: '/workers', label: 'Workers', icon: Server, key: 'w' },
  { to: '/revisions', label: 'Revisions', icon: History, key: 'r' },
  { to: '/audit', label: 'Audit log', icon: ScrollText, key: 'a' },
  { to: '/rfcs', label: 'Supported RFCs', icon: BookCheck, key: 'f' },
  { to: '/users', label: 'Users and tokens', icon: Users, key: 'u' },
]
