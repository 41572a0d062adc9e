import { Outlet, useRouterState } from '@tanstack/react-router'
import { Menu as MenuIcon } from 'lucide-react'
import { useCallback, useEffect, useRef, useState } from 'react'
import { Toaster } from 'sonner'
import { useSignIn } from '../api/sign-in.ts'
import { ExpiredDialog, SignIn } from '../pages/signin/SignIn.tsx'
import { ReviewProvider } from '../review/review.tsx'
import { IconButton } from '../ui/Button.tsx'
import { Dialog } from '../ui/Dialog.tsx'
import { Account, PhoneAccount } from './Account.tsx'
import { ApiUnreachableBanner, OpenRelayBanner } from './Banners.tsx'
import { useColorScheme } from './color-scheme.ts'
import { Logo } from './Logo.tsx'
import { Navigation } from './Navigation.tsx'
import { Palette } from './Palette.tsx'
import { RolloutStrip } from './RolloutStrip.tsx'
import { ShortcutsDialog, useShortcuts } from './Shortcuts.tsx'

/** The frame of every page, behind the sign-in. */
export function Shell() {
  const session = useSignIn()
  const scheme = useColorScheme()
  if (session.state === 'starting') return <ApiUnreachableBanner />
  return (
    <>
      {session.state === 'out' ? <SignIn /> : <Frame />}
      {session.state === 'expired' && <ExpiredDialog email={session.me.email} />}
      <Toaster theme={scheme} position="top-center" visibleToasts={3} />
    </>
  )
}

function Frame() {
  const session = useSignIn()
  const [drawer, setDrawer] = useState(false)
  const [help, setHelp] = useState(false)
  const showHelp = useCallback(() => setHelp(true), [])
  const [palette, setPalette] = useState(false)
  const showPalette = useCallback(() => setPalette(true), [])
  useShortcuts(showHelp, showPalette)
  const main = useFocusOnArrival()
  const me = session.state === 'in' || session.state === 'expired' ? session.me : null
  return (
    <ReviewProvider>
      <a
        href="#main"
        className="sr-only rounded-md bg-raised px-3 py-2 focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50"
      >
        Skip to the content
      </a>
      <div className="lg:grid lg:grid-cols-[15rem_minmax(0,1fr)]">
        <header className="sticky top-0 z-20 flex h-12 items-center gap-2 border-line border-b bg-panel px-2 lg:hidden">
          <IconButton label="Menu" onClick={() => setDrawer(true)}>
            <MenuIcon />
          </IconButton>
          <Brand />
        </header>
        <aside className="sticky top-0 hidden h-dvh flex-col border-line border-r bg-panel lg:flex">
          <div className="flex h-14 shrink-0 items-center px-5">
            <Brand />
          </div>
          <div className="px-2.5 pb-2">
            <button
              type="button"
              onClick={showPalette}
              className="flex h-8 w-full items-center justify-between rounded-md border border-line px-2.5 text-faint text-sm hover:bg-sunken hover:text-ink"
            >
              Go to …<kbd className="mono text-xs">Ctrl K</kbd>
            </button>
          </div>
          <div className="min-h-0 flex-1 overflow-y-auto px-2.5 py-1">
            <Navigation />
          </div>
          <div className="border-line border-t p-2.5">{me && <Account me={me} onShortcuts={showHelp} />}</div>
        </aside>
        <main id="main" ref={main} tabIndex={-1} className="min-w-0 pb-24 outline-none">
          <ApiUnreachableBanner />
          <OpenRelayBanner />
          <Outlet />
        </main>
      </div>
      <RolloutStrip />
      {drawer && (
        <Dialog title="Postern" onClose={() => setDrawer(false)}>
          <Navigation onGo={() => setDrawer(false)} />
          <div className="mt-3 border-line border-t pt-3">
            {me && <PhoneAccount me={me} onGo={() => setDrawer(false)} />}
          </div>
        </Dialog>
      )}
      {palette && <Palette onClose={() => setPalette(false)} />}
      {help && <ShortcutsDialog onClose={() => setHelp(false)} />}
    </ReviewProvider>
  )
}

/** After navigation, moves the keyboard focus to the page's content, so that a screen reader reads its title. */
function useFocusOnArrival() {
  const main = useRef<HTMLElement>(null)
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname })
  const before = useRef(path)
  useEffect(() => {
    if (before.current && path && before.current !== path) main.current?.focus({ preventScroll: true })
    before.current = path
  }, [path])
  return main
}

function Brand() {
  return (
    <span className="flex items-center gap-2.5 font-semibold text-lg tracking-tight">
      <Logo className="size-6 text-accent" />
      Postern
    </span>
  )
}
