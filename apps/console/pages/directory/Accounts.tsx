import { accountInputSchema } from '@postern/contract/directory.ts'
import { UserRound } from 'lucide-react'
import type { FieldTexts } from '../../form/EntryDialog.tsx'
import { Badge } from '../../ui/Badge.tsx'
import type { Column } from '../../ui/DataTable.tsx'
import { formatCount } from '../../ui/format.ts'
import { DirectoryPage } from './DirectoryPage.tsx'
import type { AccountView } from './types.ts'

const columns: Column<AccountView>[] = [
  {
    id: 'address',
    header: 'Address',
    width: 'minmax(10rem,2fr)',
    cell: (a) => <span className="font-medium">{a.address}</span>,
  },
  { id: 'login', header: 'Login', width: 'minmax(6rem,1fr)', wide: true, cell: (a) => a.login || a.address },
  {
    id: 'forwardTo',
    header: 'Forwards to',
    width: 'minmax(6rem,1fr)',
    wide: true,
    cell: (a) => forwardText(a),
  },
  {
    id: 'quotas',
    header: 'Sending quota',
    width: 'minmax(6rem,1fr)',
    wide: true,
    cell: (a) => quotaText(a.quotas),
  },
  {
    id: 'state',
    header: 'State',
    width: '5rem',
    cell: (a) => (a.disabled ? <Badge tone="warn">disabled</Badge> : <Badge>enabled</Badge>),
  },
]

function forwardText({ forwardTo = [], keepCopy = true }: AccountView): string {
  if (forwardTo.length === 0) return ''
  return `${forwardTo.join(', ')}${keepCopy ? '' : ', keeps no copy'}`
}

function quotaText(quotas: AccountView['quotas']): string {
  const parts = [
    quotas?.sendsPerHour ? `${formatCount(quotas.sendsPerHour)} per hour` : '',
    quotas?.sendsPerDay ? `${formatCount(quotas.sendsPerDay)} per day` : '',
  ].filter(Boolean)
  return parts.join(', ') || 'none'
}

const words: FieldTexts = {
  address: { help: 'The domain must be local.' },
  login: { help: 'What the user types to log in. Empty: the address.' },
  quotas: {
    title: 'Sending quota',
    help: 'The maximum number of messages per hour and per day. Each worker counts for itself. 0: no limit.',
  },
  disabled: { help: 'The account cannot log in. Its mail is still received.' },
}

export function Accounts() {
  return (
    <DirectoryPage<AccountView>
      title="Accounts"
      noun="account"
      help="Users who may log in and who have a mailbox."
      icon={UserRound}
      path="/v1/accounts"
      columns={columns}
      nameOf={(account) => account.address}
      schema={accountInputSchema}
      editSchema={accountInputSchema}
      words={words}
      onDeleteSays="The login stops working and mail for the address is refused as for an unknown user. Mail that is stored already stays where it is."
    />
  )
}
