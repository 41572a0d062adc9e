import type { RowKind } from '@postern/contract/rows.ts'

/** One row that differs. `before` and `after` are JSON as stored, with secrets sealed. */
export type Change = { kind: RowKind; id: string; key: string; before: string | null; after: string | null }
