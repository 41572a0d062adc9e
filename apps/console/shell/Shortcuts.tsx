import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { Dialog } from '../ui/Dialog.tsx'
import { places } from './navigation.ts'

const typing = (target: EventTarget | null): boolean =>
  target instanceof Element && target.closest('input,textarea,select,dialog,[contenteditable],[role=menu]') !== null

/**
 * Keyboard shortcuts: `?` shows them, Ctrl-K opens the palette, `/` goes to the search, `g` and a letter go to a page. All
 * but Ctrl-K are inactive while the user types.
 */
export function useShortcuts(onHelp: () => void, onPalette: () => void): void {
  const navigate = useNavigate()
  const armed = useRef(0)
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key === 'k' && !document.querySelector('dialog[open]')) {
        event.preventDefault()
        onPalette()
      }
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return
      const place = places.find(({ key }) => key === event.key)
      if (armed.current > Date.now() - 1500 && place) {
        armed.current = 0
        event.preventDefault()
        void navigate({ to: place.to })
      } else if (event.key === 'g') armed.current = Date.now()
      else if (event.key === '?') onHelp()
      else if (event.key === '/') {
        const search = document.querySelector<HTMLInputElement>('input[type=search]')
        if (search) event.preventDefault()
        search?.focus()
      }
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [navigate, onHelp, onPalette])
}

export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl className="grid grid-cols-[6rem_1fr] items-center gap-y-1.5 text-sm">
        <Line keys={['?']}>These shortcuts</Line>
        <Line keys={['Ctrl', 'k']}>Go to a page, a setting, an address, a message</Line>
        <Line keys={['/']}>Search on this page</Line>
        <Line keys={['Esc']}>Close the open dialog</Line>
        <Line keys={['Shift', 'click']}>Select a range of rows</Line>
        {places.map((place) => (
          <Line key={place.to} keys={['g', place.key]}>
            {place.label}
          </Line>
        ))}
      </dl>
    </Dialog>
  )
}

function Line({ keys, children }: { keys: readonly string[]; children: string }) {
  return (
    <>
      <dt className="flex gap-1">
        {keys.map((key) => (
          <kbd key={key} className="mono rounded border border-line bg-sunken px-1.5 text-soft">
            {key}
          </kbd>
        ))}
      </dt>
      <dd>{children}</dd>
    </>
  )
}
