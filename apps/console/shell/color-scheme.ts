import { useSyncExternalStore } from 'react'

/** Light, dark, or the system's choice. Stored on this machine; public/first.js applies it before the first paint. */
export const colorSchemes = ['system', 'light', 'dark'] as const
export type ColorScheme = (typeof colorSchemes)[number]

const listeners = new Set<() => void>()

function read(): ColorScheme {
  const kept = document.documentElement.dataset.scheme
  return kept === 'light' || kept === 'dark' ? kept : 'system'
}

export function chooseColorScheme(scheme: ColorScheme): void {
  if (scheme === 'system') {
    delete document.documentElement.dataset.scheme
    localStorage.removeItem('postern.scheme')
  } else {
    document.documentElement.dataset.scheme = scheme
    localStorage.setItem('postern.scheme', scheme)
  }
  for (const listener of listeners) listener()
}

export function useColorScheme(): ColorScheme {
  return useSyncExternalStore((listener) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }, read)
}
