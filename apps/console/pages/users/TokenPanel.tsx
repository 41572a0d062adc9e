import { useInfiniteQuery } from '@tanstack/react-query'
import { KeyRound, Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { toast } from 'sonner'
import { explain } from '../../api/problem.ts'
import { pagesQuery } from '../../api/queries.ts'
import { useReview } from '../../review/review.tsx'
import { Badge } from '../../ui/Badge.tsx'
import { Button, IconButton } from '../../ui/Button.tsx'
import { type Column, DataTable } from '../../ui/DataTable.tsx'
import { inSentence } from '../../ui/format.ts'
import { Empty, Failure, Panel } from '../../ui/Page.tsx'
import { Ago } from '../../ui/Time.tsx'
import { NewTokenDialog, SecretDialog } from './NewTokenDialog.tsx'
import { type TokenKind, tokenKinds } from './token-kinds.ts'

type Token = {
  id: string
  name: string
  role?: string
  service?: string
  createdAt: string
  expiresAt?: string
  lastUsedAt?: string
}

export function TokenPanel({ kind }: { kind: TokenKind }) {
  const { title, path, choice, help } = tokenKinds[kind]
  const review = useReview()
  const [making, setMaking] = useState(false)
  const [secret, setSecret] = useState<string | null>(null)
  const query = useInfiniteQuery(pagesQuery<Token>(path))
  const rows = query.data?.pages.flatMap((page) => page.items) ?? []
  const revoke = (token: Token) =>
    review({
      title: `Revoke ${token.name}?`,
      about: 'Programs that use it are refused from now on.',
      verb: 'Revoke',
      look: 'danger',
      withoutDiff: true,
      request: { method: 'DELETE', path: `${path}/${token.id}` },
    }).catch((error: unknown) => toast.error(explain(error)))
  const columns: Column<Token>[] = [
    {
      id: 'name',
      header: 'Name',
      width: 'minmax(7rem,2fr)',
      cell: (token) => <span className="font-medium">{token.name}</span>,
    },
    {
      id: 'choice',
      header: choice === 'role' ? 'Role' : 'Service',
      width: '6rem',
      cell: (token) => <Badge>{token[choice]}</Badge>,
    },
    { id: 'made', header: 'Created', width: '7rem', wide: true, cell: (token) => <Ago at={token.createdAt} /> },
    ...(kind === 'api'
      ? [
          {
            id: 'used',
            header: 'Last used',
            width: '7rem',
            wide: true,
            cell: (token: Token) => <Ago at={token.lastUsedAt} />,
          },
        ]
      : []),
    { id: 'expires', header: 'Expires', width: '7rem', wide: true, cell: (token) => <Ago at={token.expiresAt} /> },
    {
      id: 'actions',
      header: 'Actions',
      width: '3.5rem',
      align: 'right',
      cell: (token) => (
        <IconButton label={`Revoke ${token.name}`} onClick={() => void revoke(token)}>
          <Trash2 />
        </IconButton>
      ),
    },
  ]
  return (
    <Panel
      title={title}
      flush
      aside={
        <Button onClick={() => setMaking(true)}>
          <Plus aria-hidden="true" /> New {kind === 'api' ? 'API token' : 'enrolment token'}
        </Button>
      }
    >
      {query.error ? (
        <Failure error={query.error} onRetry={() => void query.refetch()} />
      ) : (
        <DataTable
          label={title}
          rows={rows}
          columns={columns}
          rowId={(token) => token.id}
          loading={query.isPending}
          empty={
            <Empty icon={KeyRound} title={`No ${inSentence(title)}`}>
              {help}
            </Empty>
          }
        />
      )}
      {making && (
        <NewTokenDialog
          kind={kind}
          onClose={() => setMaking(false)}
          onMade={(token) => {
            setMaking(false)
            setSecret(token)
          }}
        />
      )}
      {secret && <SecretDialog secret={secret} help={help} onClose={() => setSecret(null)} />}
    </Panel>
  )
}
