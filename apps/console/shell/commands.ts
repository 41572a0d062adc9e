import { parseBlock } from '@postern/contract/ip-address.ts'
import { settingGroupNames, settingGroups } from '@postern/contract/settings.ts'
import { fieldsOf } from '../form/field.ts'
import { groups } from './navigation.ts'

/** What the command palette offers: pages, settings, and what the typed text itself names. Pure. */
export type Command = {
  label: string
  /** Where it belongs, or what it does. */
  detail: string
  to: string
  search?: object
  /** The setting that is focused on arrival. */
  setting?: string
  /** Further words that find it. */
  keywords?: string[]
}

export const pageCommands: readonly Command[] = groups.flatMap(({ title, places }) =>
  places.flatMap(({ to, label, under = [] }) => [
    { label, detail: title, to },
    ...under.map((page) => ({ label: page.label, detail: label, to: page.to })),
  ]),
)

export const settingCommands: readonly Command[] = settingGroupNames.flatMap((group) =>
  fieldsOf(settingGroups[group].schema).map(({ key, title, help = '' }) => ({
    label: title,
    detail: `${settingGroups[group].title}, ${group}.${key}`,
    to: `/settings/${group}`,
    setting: key,
    keywords: [`${group}.${key}`, help],
  })),
)

const messageId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const revision = /^#?(\d{1,9})$/
const mailbox = /^[^\s@]+@[^\s@]+$/
const domain = /^[^\s@:/]+\.[^\s@:/.]+$/

/** The places that the text names: a setting by its whole key, a message, a revision, an address, a client or a domain. */
export function namedBy(typed: string): Command[] {
  const text = typed.trim()
  const setting = settingCommands.filter(({ keywords }) => keywords?.[0] === text)
  if (setting.length > 0) return setting
  const number = revision.exec(text)?.[1]
  if (number) return [{ label: `Revision ${number}`, detail: 'Open', to: `/revisions/${number}` }]
  if (messageId.test(text)) return [{ label: `Message ${text}`, detail: 'Open', to: `/messages/${text.toLowerCase()}` }]
  if (parseBlock(text))
    return [
      { label: `Events of client ${text}`, detail: 'Search', to: '/events', search: { client: text } },
      { label: `Mail from client ${text}`, detail: 'Search', to: '/messages', search: { client: text } },
    ]
  if (mailbox.test(text))
    return [
      { label: `Mail from ${text}`, detail: 'Search', to: '/messages', search: { sender: text } },
      { label: `Mail to ${text}`, detail: 'Search', to: '/messages', search: { recipient: text } },
      { label: `Waiting mail for ${text}`, detail: 'Search', to: '/queue', search: { recipient: text } },
      { label: `Events about ${text}`, detail: 'Search', to: '/events', search: { q: text } },
    ]
  if (domain.test(text))
    return [
      { label: `Waiting mail for ${text}`, detail: 'Search', to: '/queue', search: { domain: text } },
      { label: `Events about mail for ${text}`, detail: 'Search', to: '/events', search: { domain: text } },
    ]
  return []
}
