import { z } from 'zod'
import { advancedSchema } from './settings/advanced.ts'
import { dictionarySchema } from './settings/dictionary.ts'
import { generalSchema } from './settings/general.ts'
import { harvestingSchema } from './settings/harvesting.ts'
import { loggingSchema } from './settings/logging.ts'
import { queueSchema } from './settings/queue.ts'
import { securitySchema } from './settings/security.ts'
import { tlsSchema } from './settings/tls.ts'

/** Every setting there is. The order is the order of the console's pages. */
export const settingGroups = {
  general: { title: 'General', schema: generalSchema, help: 'Names, relay control, smart host, sizes.' },
  queue: { title: 'Queue Manager', schema: queueSchema, help: 'When and how waiting mail is tried again.' },
  logging: {
    title: 'Logging',
    schema: loggingSchema,
    help: 'Where the records of the SMTP service and the Queue Manager go.',
  },
  tls: { title: 'TLS', schema: tlsSchema, help: 'Encryption of inbound connections.' },
  harvesting: {
    title: 'Account harvesting',
    schema: harvestingSchema,
    help: 'What happens to clients that fail to log in.',
  },
  dictionary: {
    title: 'Dictionary attacks',
    schema: dictionarySchema,
    help: 'What happens to clients that guess recipients.',
  },
  security: {
    title: 'Security',
    schema: securitySchema,
    help: 'What strangers may ask, and what is checked about them.',
  },
  advanced: {
    title: 'Advanced',
    schema: advancedSchema,
    help: 'Change these only if you know what a mail client does with the answer.',
  },
} as const

export type SettingGroup = keyof typeof settingGroups
export const settingGroupNames = Object.keys(settingGroups) as SettingGroup[]
export const settingGroupSchema = z.enum(settingGroupNames as [SettingGroup, ...SettingGroup[]])

export type GeneralSettings = z.output<typeof generalSchema>
export type QueueSettings = z.output<typeof queueSchema>
export type LoggingSettings = z.output<typeof loggingSchema>
export type TlsSettings = z.output<typeof tlsSchema>
export type HarvestingSettings = z.output<typeof harvestingSchema>
export type DictionarySettings = z.output<typeof dictionarySchema>
export type SecuritySettings = z.output<typeof securitySchema>
export type AdvancedSettings = z.output<typeof advancedSchema>

export type Settings = {
  general: GeneralSettings
  queue: QueueSettings
  logging: LoggingSettings
  tls: TlsSettings
  harvesting: HarvestingSettings
  dictionary: DictionarySettings
  security: SecuritySettings
  advanced: AdvancedSettings
}

/** Every key at its default. */
export function defaultSettings(): Settings {
  return Object.fromEntries(
    settingGroupNames.map((group) => [group, settingGroups[group].schema.parse({})]),
  ) as Settings
}
