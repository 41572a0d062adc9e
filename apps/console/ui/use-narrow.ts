import { useSyncExternalStore } from 'react'

const phone = matchMedia('(max-width: 639px)')

/** Returns whether the page is as narrow as a phone. */
export function useNarrow(): boolean {
  return useSyncExternalStore(
    (changed) => {
      phone.addEventListener('change', changed)
      return () => phone.removeEventListener('change', changed)
    },
    () => phone.matches,
  )
}
