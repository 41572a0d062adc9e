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

/** The navigation, by what an administrator wants to do. */
export const groups: readonly { title: string; places: readonly Place[] }[] = [
  {
    title: 'Now',
    places: [
      { to: '/', label: 'Overview', icon: Gauge, key: 'o' },
      { to: '/messages', label: 'Messages', icon: Mails, key: 'i' },
      { to: '/queue', label: 'Queue', icon: Inbox, key: 'q' },
      { to: '/events', label: 'Events', icon: Activity, key: 'e' },
    ],
  },
  {
    title: 'Defence',
    places: [
      {
        to: '/lists',
        label: 'Lists',
        icon: ShieldBan,
        key: 'l',
        under: Object.entries(lists).map(([name, { title }]) => ({ to: `/lists/${name}`, label: title })),
      },
      { to: '/simulate', label: 'Simulate', icon: FlaskConical, key: 'm' },
      { to: '/replay', label: 'Replay', icon: Rewind, key: 'p' },
    ],
  },
  {
    title: 'Mail',
    places: [
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
    ],
  },
  {
    title: 'Configuration',
    places: [
      {
        to: '/settings',
        label: 'Settings',
        icon: SlidersHorizontal,
        key: 't',
        under: settingGroupNames.map((group) => ({ to: `/settings/${group}`, label: settingGroups[group].title })),
      },
      { to: '/revisions', label: 'Revisions', icon: History, key: 'r' },
    ],
  },
  {
    title: 'System',
    places: [
      { to: '/services', label: 'Services', icon: Power, key: 's' },
      { to: '/workers', label: 'Workers', icon: Server, key: 'w' },
      { to: '/audit', label: 'Audit log', icon: ScrollText, key: 'a' },
      { to: '/users', label: 'Users and tokens', icon: Users, key: 'u' },
      { to: '/rfcs', label: 'Supported RFCs', icon: BookCheck, key: 'f' },
    ],
  },
]

export const places: readonly Place[] = groups.flatMap(({ places }) => places)
