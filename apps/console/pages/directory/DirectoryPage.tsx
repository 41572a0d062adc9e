import { withSecretsOptional } from '@postern/contract/secrets.ts'
import { useInfiniteQuery } from '@tanstack/react-query'
import { type LucideIcon, Pencil, Plus, Trash2 } from 'lucide-react'
import { type ReactNode, useMemo, useState } from 'react'
import { toast } from 'sonner'
import type { z } from 'zod'
import { explain } from '../../api/problem.ts'
import { pagesQuery } from '../../api/queries.ts'
import { useMay } from '../../api/role.ts'
import { EntryDialog, type FieldTexts } from '../../form/EntryDialog.tsx'
import { mergePatch } from '../../form/patch.ts'
import type { Values } from '../../form/values.ts'
import { useReview } from '../../review/review.tsx'
import { Button, IconButton } from '../../ui/Button.tsx'
import { Input } from '../../ui/Controls.tsx'
import { type Column, DataTable } from '../../ui/DataTable.tsx'
import { inSentence } from '../../ui/format.ts'
import { Empty, Failure, Page, Panel } from '../../ui/Page.tsx'
import { Tabs } from '../../ui/Tabs.tsx'
import { directoryTabs } from './types.ts'

type Props<T> = {
  title: string
  /** `domain`, `account`: the name of a single entry. */
  noun: string
  help: string
  icon: LucideIcon
  path: string
  columns: Column<T>[]
  nameOf: (row: T) => string
  schema: z.ZodType
  /**
   * The schema for editing if it differs from the one for creating, e.g. because the password may stay. Absent: entries
   * cannot be edited.
   */
  editSchema?: z.ZodType
  words?: FieldTexts
  onDeleteSays: string
  /** Replaces the button that opens the form. */
  newButton?: ReactNode
  /** Shown before the edit and delete icons. */
  rowActions?: (row: T) => ReactNode
  /** Dialogs for rows of the table. */
  beside?: (rows: readonly T[]) => ReactNode
}

/** One kind of directory entry: table, search, and a form generated from the contract. */
export function DirectoryPage<T extends { id: string }>(props: Props<T>) {
  const { title, noun, help, icon, path, columns, nameOf, schema, editSchema, words, onDeleteSays } = props
  const { newButton, rowActions, beside } = props
  const review = useReview()
  const may = useMay('admin')
  const [search, setSearch] = useState('')
  const [editing, setEditing] = useState<T | 'new' | null>(null)
  const query = useInfiniteQuery(pagesQuery<T>(path, { q: search || undefined }))
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data])

  async function save(value: Values): Promise<boolean> {
    const old = editing === 'new' || editing === null ? null : editing
    const saved = await review({
      title: old ? `Change ${nameOf(old)}` : `New ${noun}`,
      request: old
        ? { method: 'PATCH', path: `${path}/${old.id}`, body: mergePatch(old as Values, value) }
        : { method: 'POST', path, body: value },
    })
    return saved !== null
  }

  async function remove(row: T) {
    try {
      await review({
        title: `Delete ${nameOf(row)}?`,
        about: onDeleteSays,
        verb: 'Delete',
        look: 'danger',
        request: { method: 'DELETE', path: `${path}/${row.id}` },
      })
    } catch (error) {
      toast.error(explain(error))
    }
  }

  const actions: Column<T> = {
    id: 'actions',
    header: 'Actions',
    width: may && (editSchema || rowActions) ? '4.5rem' : '3.5rem',
    align: 'right',
    cell: (row) => (
      <>
        {rowActions?.(row)}
        {may && editSchema && (
          <IconButton label={`Edit ${nameOf(row)}`} onClick={() => setEditing(row)}>
            <Pencil />
          </IconButton>
        )}
        {may && (
          <IconButton label={`Delete ${nameOf(row)}`} onClick={() => void remove(row)}>
            <Trash2 />
          </IconButton>
        )}
      </>
    ),
  }

  return (
    <Page
      title={title}
      help={help}
      needs={{ role: 'admin', to: 'change the directory' }}
      actions={
        may &&
        (newButton ?? (
          <Button look="primary" onClick={() => setEditing('new')}>
            <Plus aria-hidden="true" /> New {noun}
          </Button>
        ))
      }
    >
      <Tabs label="Directory" tabs={directoryTabs} />
      {query.error ? <Failure error={query.error} onRetry={() => void query.refetch()} /> : null}
      <Panel flush className="mt-3">
        <div className="border-line border-b p-2">
          <Input
            type="search"
            aria-label={`Search ${inSentence(title)}`}
            placeholder="Search"
            value={search}
            onChange={(event) => setSearch(event.target.value)}
            className="w-full max-w-xs"
          />
        </div>
        <DataTable
          label={title}
          rows={rows}
          columns={may || rowActions ? [...columns, actions] : columns}
          rowId={(row) => row.id}
          loading={query.isPending}
          onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
          empty={
            <Empty icon={icon} title={search ? `Nothing matches “${search}”` : `No ${inSentence(title)} yet`}>
              {search ? 'Try a shorter search.' : may ? `Choose “New ${noun}” to add the first one.` : null}
            </Empty>
          }
        />
      </Panel>
      {beside?.(rows)}
      {editing !== null && (
        <EntryDialog
          title={editing === 'new' ? `New ${noun}` : nameOf(editing)}
          schema={editing === 'new' ? schema : withSecretsOptional(editSchema ?? schema)}
          {...(words ? { words } : {})}
          {...(editing === 'new' ? {} : { initial: editing as unknown as Values })}
          onSave={save}
          onClose={() => setEditing(null)}
        />
      )}
    </Page>
  )
}
