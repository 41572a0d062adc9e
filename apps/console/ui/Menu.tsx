import { DropdownMenu } from 'radix-ui'
import type { ReactNode } from 'react'

export type MenuItem = { label: string; onChoose: () => void; danger?: boolean; disabled?: boolean; checked?: boolean }

/** A menu on a button. It is not modal, because a modal one would write a style element, which the CSP refuses. */
export function Menu({ trigger, items }: { trigger: ReactNode; items: readonly MenuItem[] }) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align="end"
          sideOffset={4}
          className="z-40 min-w-44 rounded-md border border-line bg-raised p-1 shadow-(color:--shadow) shadow-lg"
        >
          {items.map((item) => (
            <DropdownMenu.Item
              key={item.label}
              disabled={item.disabled ?? false}
              onSelect={item.onChoose}
              className={`flex cursor-pointer items-center justify-between gap-4 rounded px-2.5 py-1.5 text-sm outline-none data-disabled:cursor-not-allowed data-highlighted:bg-sunken data-disabled:opacity-50 ${item.danger ? 'text-danger' : ''}`}
            >
              {item.label}
              {item.checked && <span className="text-accent text-xs">in use</span>}
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}
