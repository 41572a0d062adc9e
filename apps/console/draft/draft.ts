import type { SettingGroup } from '@postern/contract/settings.ts'
import { useSyncExternalStore } from 'react'

/** Unsaved changes shared by the settings forms, Simulate and Replay. They are kept while this tab is open. */

export type Draft = { settings?: Partial<Record<SettingGroup, Record<string, unknown>>>; [section: string]: unknown }

let text = ''
const readers = new Set<() => void>()

/** The JSON as typed; empty if there is no draft. */
export function useDraftText(): string {
  return useSyncExternalStore(
    (changed) => {
      readers.add(changed)
      return () => readers.delete(changed)
    },
    () => text,
  )
}

export function setDraftText(next: string): void {
  text = next
  for (const changed of readers) changed()
}

/** Replaces the draft of a settings form with its current changes. */
export function draftSettings(group: SettingGroup, patch: Record<string, unknown>): void {
  const draft = readDraft(text).draft ?? {}
  setDraftText(JSON.stringify({ ...draft, settings: { ...draft.settings, [group]: patch } }, null, 2))
}

/** Returns the changes of a form that the user left to try them out; `undefined` if there are none. */
export function draftedSettings(group: SettingGroup): Record<string, unknown> | undefined {
  return readDraft(text).draft?.settings?.[group]
}

/** Removes the changes of a form after they were saved or discarded. */
export function forgetSettings(group: SettingGroup): void {
  const { draft } = readDraft(text)
  if (!draft?.settings?.[group]) return
  const { [group]: _, ...settings } = draft.settings
  const { settings: __, ...others } = draft
  const rest = Object.keys(settings).length > 0 ? { ...others, settings } : others
  setDraftText(Object.keys(rest).length > 0 ? JSON.stringify(rest, null, 2) : '')
}

/** Parses the typed draft. */
export function readDraft(typed: string): { draft?: Draft; error?: string } {
  if (typed.trim() === '') return {}
  try {
    const draft: unknown = JSON.parse(typed)
    if (typeof draft === 'object' && draft !== null && !Array.isArray(draft)) return { draft: draft as Draft }
    return { error: 'must be a JSON object, e.g. {"settings": {"general": {"relayMode": "none"}}}' }
  } catch (error) {
    return { error: `is not valid JSON: ${(error as Error).message}` }
  }
}
