import { z } from 'zod'
import { aliasInputSchema, domainInputSchema, groupInputSchema } from './directory.ts'
import { listInputSchemas } from './lists.ts'
import { withSecretsOptional } from './secrets.ts'
import { settingGroups } from './settings.ts'

/**
 * The whole configuration as one declarative document, without secrets. An absent section is left unchanged. A section
 * that is present is complete: entries that it does not name are deleted. Absent settings keys return to their
 * defaults. Accounts, certificates and DKIM keys hold secrets and are not part of the document.
 */
export const documentVersion = 1

const groups = Object.fromEntries(
  Object.entries(settingGroups).map(([name, { schema }]) => [name, withSecretsOptional(schema).optional()]),
) as {
  [G in keyof typeof settingGroups]: z.ZodOptional<(typeof settingGroups)[G]['schema']>
}

export const documentSchema = z.strictObject({
  postern: z.literal(documentVersion, { message: `the document's version must be ${documentVersion}` }),
  settings: z.strictObject(groups).optional(),
  lists: z
    .strictObject({
      'control-access': z.array(listInputSchemas['control-access']).optional(),
      kill: z.array(listInputSchemas.kill).optional(),
      accept: z.array(listInputSchemas.accept).optional(),
      white: z.array(listInputSchemas.white).optional(),
      relay: z.array(listInputSchemas.relay).optional(),
    })
    .optional(),
  domains: z.array(withSecretsOptional(domainInputSchema)).optional(),
  aliases: z.array(aliasInputSchema).optional(),
  groups: z.array(groupInputSchema).optional(),
})
export type Document = z.output<typeof documentSchema>
