import { Link } from '@tanstack/react-router'

export type Tab = { to: string; label: string }

/** Links to the pages of one section. Each page has its own URL. */
export function Tabs({ label, tabs }: { label: string; tabs: readonly Tab[] }) {
  return (
    <nav aria-label={label} className="mb-5 flex gap-1 overflow-x-auto border-line border-b">
      {tabs.map((tab) => (
        <Link
          key={tab.to}
          to={tab.to}
          className="-mb-px whitespace-nowrap border-transparent border-b-2 px-3 py-2 text-soft text-sm hover:text-ink"
          activeProps={{ className: 'border-accent! text-ink! font-medium' }}
        >
          {tab.label}
        </Link>
      ))}
    </nav>
  )
}
