import { roleSchema } from '@postern/contract/roles.ts'
import type { userViewSchema } from '@postern/contract/views.ts'
import { useInfiniteQuery } from '@tanstack/react-query'
import { Pencil, Plus, Trash2, UserRound } from 'lucide-react'
import { useState } from 'react'
import { toast } from 'sonner'
import { z } from 'zod'
import { explain } from '../../api/problem.ts'
import { pagesQuery } from '../../api/queries.ts'
import { EntryDialog, type FieldTexts } from '../../form/EntryDialog.tsx'
import { mergePatch } from '../../form/patch.ts'
import type { Values } from '../../form/values.ts'
import { useReview } from '../../review/review.tsx'
import { Badge } from '../../ui/Badge.tsx'
import { Button, IconButton } from '../../ui/Button.tsx'
import { type Column, DataTable } from '../../ui/DataTable.tsx'
import { Empty, Failure, Panel } from '../../ui/Page.tsx'
import { Ago } from '../../ui/Time.tsx'

type User = z.infer<typeof userViewSchema>

const newUser = z.strictObject({
  email: z.email().max(320),
  role: roleSchema.default('operator'),
  password: z.string().min(8).max(256).meta({ secret: true }),
})
const oldUser = newUser.extend({ password: newUser.shape.password.optional() })
const words: FieldTexts = {
  email: { title: 'Email address' },
  password: { help: 'At least 8 characters. A new password signs the user out everywhere.' },
}

export function UserPanel() {
  const review = useReview()
  const [editing, setEditing] = useState<User | 'new' | null>(null)
  const query = useInfiniteQuery(pagesQuery<User>('/v1/users'))
  const rows = query.data?.pages.flatMap((page) => page.items) ?? []

  async function save(value: Values): Promise<boolean> {
    const old = editing === 'new' ? null : editing
    const saved = await review({
      title: old ? `Change ${old.email}` : `New user ${String(value.email)}`,
      withoutDiff: true,
      request: old
        ? {
            method: 'PATCH',
            path: `/v1/users/${old.id}`,
            body: mergePatch({ email: old.email, role: old.role }, value),
          }
        : { method: 'POST', path: '/v1/users', body: value },
    })
    return saved !== null
  }
  const remove = (user: User) =>
    review({
      title: `Delete ${user.email}?`,
      about: 'The user is signed out everywhere at once. The history keeps what the user did.',
      verb: 'Delete',
      look: 'danger',
      withoutDiff: true,
      request: { method: 'DELETE', path: `/v1/users/${user.id}` },
    }).catch((error: unknown) => toast.error(explain(error)))

  const columns: Column<User>[] = [
    {
      id: 'email',
      header: 'Email address',
      width: 'minmax(9rem,2fr)',
      cell: (user) => <span className="font-medium">{user.email}</span>,
    },
    { id: 'role', header: 'Role', width: '6rem', cell: (user) => <Badge>{user.role}</Badge> },
    { id: 'last', header: 'Last sign-in', width: '8rem', wide: true, cell: (user) => <Ago at={user.lastLoginAt} /> },
    { id: 'made', header: 'Created', width: '8rem', wide: true, cell: (user) => <Ago at={user.createdAt} /> },
    {
      id: 'actions',
      header: 'Actions',
      width: '4.5rem',
      align: 'right',
      cell: (user) => (
        <>
          <IconButton label={`Edit ${user.email}`} onClick={() => setEditing(user)}>
            <Pencil />
          </IconButton>
          <IconButton label={`Delete ${user.email}`} onClick={() => void remove(user)}>
            <Trash2 />
          </IconButton>
        </>
      ),
    },
  ]
  return (
    <Panel
      title="Users"
      flush
      aside={
        <Button onClick={() => setEditing('new')}>
          <Plus aria-hidden="true" /> New user
        </Button>
      }
    >
      {query.error ? (
        <Failure error={query.error} onRetry={() => void query.refetch()} />
      ) : (
        <DataTable
          label="Users"
          rows={rows}
          columns={columns}
          rowId={(user) => user.id}
          loading={query.isPending}
          empty={<Empty icon={UserRound} title="No users" />}
        />
      )}
      {editing !== null && (
        <EntryDialog
          title={editing === 'new' ? 'New user' : editing.email}
          schema={editing === 'new' ? newUser : oldUser}
          words={words}
          {...(editing === 'new' ? {} : { initial: editing as unknown as Values })}
          onSave={save}
          onClose={() => setEditing(null)}
        />
      )}
    </Panel>
  )
}
