import type { Draft } from '@postern/store/control/draft.ts'
import type { FieldError } from './problem.ts'

export async function contradictions(_draft: Draft): Promise<FieldError[]> {
  return []
}
