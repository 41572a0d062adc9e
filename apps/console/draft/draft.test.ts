import { describe, expect, it } from 'vitest'
import { draftedSettings, draftSettings, forgetSettings, readDraft, setDraftText } from './draft.ts'

describe('a draft', () => {
  it('keeps what each form has changed until it is saved or discarded', () => {
    setDraftText('{"lists": {"kill": ["@x.example"]}}')
    draftSettings('general', { relayMode: 'none' })
    draftSettings('queue', { retryThreads: 3 })
    expect(draftedSettings('general')).toEqual({ relayMode: 'none' })
    forgetSettings('general')
    expect(draftedSettings('general')).toBeUndefined()
    expect(draftedSettings('queue')).toEqual({ retryThreads: 3 })
  })

  it('says what is wrong with what was typed', () => {
    expect(readDraft(' ')).toEqual({})
    expect(readDraft('{"a":').error).toMatch(/is not valid JSON/)
    expect(readDraft('[1]').error).toMatch(/must be a JSON object/)
  })
})
