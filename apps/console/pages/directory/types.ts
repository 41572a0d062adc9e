import type { accountViewSchema, aliasViewSchema, domainViewSchema, groupViewSchema } from '@postern/contract/views.ts'
import type { z } from 'zod'

export type DomainView = z.output<typeof domainViewSchema>
export type AccountView = z.infer<typeof accountViewSchema>
export type AliasView = z.infer<typeof aliasViewSchema>
export type GroupView = z.infer<typeof groupViewSchema>
export type { CertificateView } from '@postern/contract/views.ts'

export const certificatesPath = '/v1/certificates'

export const directoryTabs = [
  { to: '/directory/domains', label: 'Domains' },
  { to: '/directory/accounts', label: 'Accounts' },
  { to: '/directory/aliases', label: 'Aliases' },
  { to: '/directory/groups', label: 'Groups' },
  { to: '/directory/certificates', label: 'Certificates' },
  { to: '/directory/dkim-keys', label: 'DKIM keys' },
]
