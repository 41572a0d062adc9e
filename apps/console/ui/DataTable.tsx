import { type RowData, rowSelectionFeature, tableFeatures, useTable } from '@tanstack/react-table'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import clsx from 'clsx'
import { type ReactNode, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react'
import { Checkbox } from './Controls.tsx'
import { Loading } from './Page.tsx'
import { useNarrow } from './narrow.ts'

const features = tableFeatures({ rowSelectionFeature })

export type Column<T> = {
  id: string
  header: string
  /** A track of CSS grid: `8rem`, `minmax(0,1fr)`. */
  width: string
  cell: (row: T) => ReactNode
  /** Left out on a phone. */
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
  /** Asked for more when the end comes near. */
  onEnd?: (() => void) | undefined
  selected?: ReadonlySet<string>
  onSelect?: (ids: Set<string>) => void
  onOpen?: (row: T) => void
}

const rowHeight = 40

/** Rows without end: only those in sight are in the page, more come through cursors. Selection with Shift for ranges. */
export function DataTable<T extends RowData>(props: Props<T>) {
  const { label, rows, columns, rowId, empty, loading = false, onEnd, selected, onSelect, onOpen } = props
  const narrow = useNarrow()
  const shown = useMemo(() => columns.filter((column) => !(narrow && column.wide)), [columns, narrow])
  const template = clsx(onSelect && '2.25rem', shown.map((column) => column.width).join(' '))
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
  const body = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
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
  const row = 'grid items-center gap-x-3 px-4'
  return (
    // biome-ignore lint/a11y/useSemanticElements: rows out of sight are not in the page, which a table element cannot say
    <div role="table" aria-label={label} aria-rowcount={onEnd ? -1 : rows.length + 1}>
      <div
        // biome-ignore lint/a11y/useSemanticElements: see above
        role="row"
        tabIndex={-1}
        style={{ gridTemplateColumns: template }}
        className={clsx(row, 'h-8 border-line border-b bg-page/60 text-faint text-xs')}
      >
        {onSelect && (
          // biome-ignore lint/a11y/useSemanticElements lint/a11y/useFocusableInteractive: see above
          <span role="columnheader">
            <Checkbox
              label="Select all loaded rows"
              hideLabel
              checked={table.getIsAllRowsSelected()}
              onChange={(event) => table.toggleAllRowsSelected(event.target.checked)}
            />
          </span>
        )}
        {shown.map((column) => (
          <span
            key={column.id}
            // biome-ignore lint/a11y/useSemanticElements: see above
            role="columnheader"
            tabIndex={-1}
            className={clsx('truncate font-medium', column.align === 'right' && 'text-right')}
          >
            {column.header}
          </span>
        ))}
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: see above */}
      <div ref={body} role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const line = model[item.index]
          if (!line) return null
          return (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the row's link does the same from the keyboard
            <div
              key={line.id}
              // biome-ignore lint/a11y/useSemanticElements: see above
              role="row"
              tabIndex={-1}
              aria-rowindex={item.index + 2}
              aria-selected={onSelect ? line.getIsSelected() : undefined}
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
                // biome-ignore lint/a11y/useSemanticElements: see above
                <span role="cell">
                  <Checkbox
                    label={`Select row ${item.index + 1}`}
                    hideLabel
                    checked={line.getIsSelected()}
                    onClick={line.getToggleSelectedHandler()}
                    onChange={() => undefined}
                  />
                </span>
              )}
              {shown.map((column) => (
                <span
                  key={column.id}
                  // biome-ignore lint/a11y/useSemanticElements: see above
                  role="cell"
                  className={clsx('min-w-0 truncate', column.align === 'right' && 'text-right')}
                >
                  {column.cell(line.original)}
                </span>
              ))}
            </div>
          )
        })}
      </div>
    </div>
  )
}
