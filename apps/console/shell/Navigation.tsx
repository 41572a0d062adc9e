import { Link, useRouterState } from '@tanstack/react-router'
import { groups, type Place } from './navigation.ts'

/** The navigation, with the pages of the current section below it. */
export function Navigation({ onGo }: { onGo?: () => void }) {
  const path = useRouterState({ select: (state) => state.location.pathname })
  return (
    <nav aria-label="Main" className="flex flex-col gap-3">
      {groups.map(({ title, places }) => (
        <div key={title}>
          <p id={`navigation-${title}`} className="px-2.5 pb-0.5 text-faint text-xs">
            {title}
          </p>
          <ul aria-labelledby={`navigation-${title}`} className="flex flex-col gap-0.5">
            {places.map((place) => (
              <Entry key={place.to} place={place} path={path} {...(onGo ? { onGo } : {})} />
            ))}
          </ul>
        </div>
      ))}
    </nav>
  )
}

type EntryProps = { place: Place; path: string; onGo?: () => void }

function Entry({ place: { to, label, icon: Icon, under }, path, onGo }: EntryProps) {
  const open = to === '/' ? path === '/' : path === to || path.startsWith(`${to}/`)
  return (
    <li>
      <Link
        to={to}
        activeOptions={{ exact: to === '/' }}
        {...(onGo ? { onClick: onGo } : {})}
        className="flex h-8 items-center gap-2.5 rounded-md px-2.5 text-soft text-sm hover:bg-sunken hover:text-ink"
        activeProps={{
          className: under ? 'text-ink! font-medium' : 'bg-accent-soft! text-accent! font-medium',
        }}
      >
        <Icon aria-hidden="true" className="size-4 shrink-0" strokeWidth={1.75} />
        {label}
      </Link>
      {open && under && (
        <ul className="my-0.5 ml-4.5 flex flex-col border-line border-l pl-2">
          {under.map((page) => (
            <li key={page.to}>
              <Link
                to={page.to}
                {...(onGo ? { onClick: onGo } : {})}
                className="flex h-7 items-center rounded-md px-2.5 text-soft text-sm hover:bg-sunken hover:text-ink"
                activeProps={{ className: 'bg-accent-soft! text-accent! font-medium' }}
              >
                {page.label}
              </Link>
            </li>
          ))}
        </ul>
      )}
    </li>
  )
}
