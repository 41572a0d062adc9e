import type { RowKind } from '@postern/contract/rows.ts'

/** Returns the key of a value within its kind: unique, shown in diffs, and searched by `q`. */
export function keyOf(kind: RowKind, id: string, value: unknown): string {
  const fields = value as { value?: string; name?: string; address?: string; selector?: string; domain?: string }
  switch (kind) {
    case 'control-access':
    case 'kill':
    case 'accept':
    case 'white':
    case 'relay':
      return fields.value ?? id
    case 'domain':
    case 'certificate':
      return fields.name ?? id
    case 'account':
    case 'alias':
    case 'group':
      return fields.address ?? id
    case 'dkim-key':
      return `${fields.selector}._domainkey.${fields.domain}`
    case 'settings':
    case 'service':
    case 'order':
      return id
  }
}
