import { z } from 'zod'
import { aliasInputSchema, domainInputSchema, groupInputSchema } from './directory.ts'
import { documentVersion } from './document.ts'
import { listInputSchemas } from './lists.ts'
import { withSecretsOptional } from './secrets.ts'
import { type SettingGroup, settingGroupNames } from './settings.ts'

/**
 * Unsaved changes that a simulation or a replay applies on top of the saved settings. Settings are merge patches, as in
 * PATCH. A list or a part of the directory is either complete, as in the declarative document, or `{add, remove}`:
 * entries to add or replace, and the values (names, addresses) of entries to remove.
 */

type Shape<T extends z.ZodType> = z.ZodUnion<
  readonly [
    z.ZodArray<T>,
    z.ZodObject<{ add: z.ZodOptional<z.ZodArray<T>>; remove: z.ZodOptional<z.ZodArray<z.ZodString>> }, z.core.$strict>,
  ]
>

function changes<T extends z.ZodType>(entry: T): Shape<T> {
  const add = z.array(entry).max(10_000)
  const remove = z.array(z.string().max(500)).max(10_000)
  return z.union([z.array(entry), z.strictObject({ add: add.optional(), remove: remove.optional() })])
}

/** Accepts a list entry, or its value alone. */
function entry<T extends z.ZodType>(schema: T) {
  return changes(z.preprocess((given) => (typeof given === 'string' ? { value: given } : given), schema)).optional()
}

const patch = z.record(z.string(), z.unknown())
const patches = Object.fromEntries(settingGroupNames.map((group) => [group, patch.optional()])) as {
  [group in SettingGroup]: z.ZodOptional<typeof patch>
}

export const draftSchema = z.strictObject({
  postern: z.literal(documentVersion).optional(),
  settings: z.strictObject(patches).optional(),
  lists: z
    .strictObject({
      'control-access': entry(listInputSchemas['control-access']),
      kill: entry(listInputSchemas.kill),
      accept: entry(listInputSchemas.accept),
      white: entry(listInputSchemas.white),
      relay: entry(listInputSchemas.relay),
    })
    .optional(),
  domains: changes(withSecretsOptional(domainInputSchema)).optional(),
  aliases: changes(aliasInputSchema).optional(),
  groups: changes(groupInputSchema).optional(),
})
export type DraftInput = z.output<typeof draftSchema>
