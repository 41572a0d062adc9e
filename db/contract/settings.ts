import { z } from 'zod'
import { advancedSchema } from './settings/advanced.ts'
import { dictionarySchema } from './settings/dictionary.ts'
import { generalSchema } from './settings/general.ts'
import { harvestingSchema } from './settings/harvesting.ts'
import { loggingSchema } from './settings/logging.ts'
import { queueSchema } from './settings/queue.ts'
import { securitySchema } from './settings/security.ts'
import { tlsSchema } from './settings/tls.ts'

/** All settings, in the order of the console's pages. */
export const settingGroups = {
  general: { title: 'General', schema: generalSchema, help: 'Host name, relay control, smart host and message size.' },
  queue: { title: 'Queue Manager', schema: queueSchema, help: 'How mail is delivered, and when delivery is retried.' },
  logging: {
    title: 'Logging',
    schema: loggingSchema,
    help: 'Where the SMTP service and the Queue Manager log, and how much.',
  },
  tls: { title: 'TLS', schema: tlsSchema, help: 'Encryption of incoming connections.' },
  harvesting: {
    title: 'Account harvesting',
    schema: harvestingSchema,
    help: 'When to block clients that fail to log in.',
  },
  dictionary: {
    title: 'Dictionary attacks',
    schema: dictionarySchema,
    help: 'When to slow down or block clients that guess recipients or send bad commands.',
  },
  security: {
    title: 'Security',
    schema: securitySchema,
    help: 'Which commands clients may use, and which checks they must pass.',
  },
  advanced: {
    title: 'Advanced',
    schema: advancedSchema,
    help: 'Ports, limits, delimiters and timeouts. A wrong value can stop mail.',
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

/** Returns all settings with their default values. */
export function defaultSettings(): Settings {
  return Object.fromEntries(
    settingGroupNames.map((group) => [group, settingGroups[group].schema.parse({})]),
  ) as Settings
}
