import { type RowData, rowSelectionFeature, tableFeatures, useTable } from '@tanstack/react-table'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import clsx from 'clsx'
import { type ReactNode, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react'
import { Checkbox } from './Controls.tsx'
import { Loading } from './Page.tsx'
import { useNarrow } from './use-narrow.ts'

const features = tableFeatures({ rowSelectionFeature })

export type Column<T> = {
  id: string
  header: string
  /** A CSS grid track: `8rem`, `minmax(0,1fr)`. */
  width: string
  cell: (row: T) => ReactNode
  /** The track on a phone, if it should not simply shrink. */
  phone?: string
  /** Hidden on a phone. */
  wide?: boolean
  align?: 'right'
}

type Props<T> = {
  label: string
  rows: T[]
  columns: Column<T>[]
  rowId: (row: T) => string
  empty: ReactNode
  loading?: boolean
  /** Called for more rows when the end is near. */
  onEnd?: (() => void) | undefined
  selected?: ReadonlySet<string>
  onSelect?: (ids: Set<string>) => void
  onOpen?: (row: T) => void
  /** The column whose content becomes the button that opens the row, unless it contains a link. */
  opener?: string
}

const rowHeight = 40

function trackOf({ width, phone }: { width: string; phone?: string }, narrow: boolean): string {
  return narrow ? (phone ?? width.replace(/minmax\([^,]+,/, 'minmax(0,')) : width
}

/**
 * A table with any number of rows. Only the visible rows are in the page, and more are loaded with cursors. Shift
 * selects ranges.
 */
export function DataTable<T extends RowData>(props: Props<T>) {
  const { label, rows, columns, rowId, empty, loading = false, onEnd, selected, onSelect, onOpen, opener } = props
  const narrow = useNarrow()
  const shown = useMemo(() => columns.filter((column) => !(narrow && column.wide)), [columns, narrow])
  const template = clsx(onSelect && '2.25rem', shown.map((column) => trackOf(column, narrow)).join(' '))
  const table = useTable({
    features,
    data: rows,
    columns: useMemo(() => shown.map(({ id, header }) => ({ id, header })), [shown]),
    getRowId: rowId,
    enableRowSelection: onSelect !== undefined,
    state: { rowSelection: Object.fromEntries([...(selected ?? [])].map((id) => [id, true as const])) },
    onRowSelectionChange: (update) => {
      const old = Object.fromEntries([...(selected ?? [])].map((id) => [id, true as const]))
      const next = typeof update === 'function' ? update(old) : update
      onSelect?.(new Set(Object.keys(next).filter((id) => next[id])))
    },
  })
  const model = table.getRowModel().rows
  const body = useRef<HTMLTableSectionElement>(null)
  const [top, setTop] = useState(0)
  // biome-ignore lint/correctness/useExhaustiveDependencies: what stands above the table may grow when rows come
  useLayoutEffect(() => {
    const place = body.current?.getBoundingClientRect().top ?? 0
    setTop(place + window.scrollY)
  }, [rows.length])
  const virtual = useWindowVirtualizer({
    count: model.length,
    estimateSize: () => rowHeight,
    overscan: 12,
    scrollMargin: top,
  })
  const items = virtual.getVirtualItems()
  const last = items.at(-1)?.index ?? -1
  useEffect(() => {
    if (onEnd && last >= model.length - 20) onEnd()
  }, [onEnd, last, model.length])

  if (loading && rows.length === 0) return <Loading />
  if (rows.length === 0) return <>{empty}</>
  const row = 'grid items-center gap-x-2 px-3 sm:gap-x-5 sm:px-4'
  return (
    <table aria-label={label} aria-rowcount={onEnd ? -1 : rows.length + 1} className="block">
      <thead className="block">
        <tr
          style={{ gridTemplateColumns: template }}
          className={clsx(row, 'h-8 border-line border-b bg-page/60 text-faint text-xs')}
        >
          {onSelect && (
            <td className="flex items-center">
              <Checkbox
                label="Select all loaded rows"
                hideLabel
                checked={table.getIsAllRowsSelected()}
                onChange={(event) => table.toggleAllRowsSelected(event.target.checked)}
              />
            </td>
          )}
          {shown.map((column) => (
            <th
              key={column.id}
              scope="col"
              className={clsx('block truncate font-medium', column.align === 'right' ? 'text-right' : 'text-left')}
            >
              {column.header}
            </th>
          ))}
        </tr>
      </thead>
      <tbody ref={body} className="relative block" style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const line = model[item.index]
          if (!line) return null
          return (
            <tr
              key={line.id}
              aria-rowindex={item.index + 2}
              onClick={(event) => {
                if (onOpen && !(event.target as Element).closest('a,button,input,label')) onOpen(line.original)
              }}
              style={{
                gridTemplateColumns: template,
                height: rowHeight,
                transform: `translateY(${item.start - virtual.options.scrollMargin}px)`,
              }}
              className={clsx(
                row,
                'absolute inset-x-0 top-0 border-line border-b text-sm',
                line.getIsSelected() ? 'bg-accent-soft' : 'hover:bg-sunken',
                onOpen && 'cursor-pointer',
              )}
            >
              {onSelect && (
                <td className="flex items-center">
                  <Checkbox
                    label={`Select row ${item.index + 1}`}
                    hideLabel
                    checked={line.getIsSelected()}
                    onClick={line.getToggleSelectedHandler()}
                    onChange={() => undefined}
                  />
                </td>
              )}
              {shown.map((column) => (
                <td
                  key={column.id}
                  className={clsx('block min-w-0 truncate', column.align === 'right' && 'text-right')}
                >
                  {onOpen && column.id === opener ? (
                    <button
                      type="button"
                      onClick={() => onOpen(line.original)}
                      className="max-w-full truncate text-left hover:underline"
                    >
                      {column.cell(line.original)}
                    </button>
                  ) : (
                    column.cell(line.original)
                  )}
                </td>
              ))}
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}
