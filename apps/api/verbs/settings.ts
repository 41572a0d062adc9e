import { describeIssues } from '@postern/contract/input-errors.ts'
import { isObject, type JsonObject as Json } from '@postern/contract/json.ts'
import { secretsOf } from '@postern/contract/rows.ts'
import { keepSecrets, withSecretsOptional } from '@postern/contract/secrets.ts'
import { type SettingGroup, settingGroupNames, settingGroups } from '@postern/contract/settings.ts'
import type { WriteResult } from '@postern/contract/views.ts'
import type { ChangeSet } from '@postern/store/control/change-set.ts'
import { headRevision } from '@postern/store/control/revisions.ts'
import { allRows, getRow } from '@postern/store/control/rows.ts'
import { withoutSecrets } from '@postern/store/control/secrets.ts'
import { z } from 'zod'
import { refuseContradictions } from '../contradictions.ts'
import type { Dependencies } from '../dependencies.ts'
import { invalid } from '../problem.ts'
import { type Call, writeRevision } from '../write-revision.ts'
import { portsInForce } from './ports-in-force.ts'

export async function readSettings({ parts }: Call) {
  const revision = await headRevision(parts.control)
  const stored = new Map((await allRows(parts.control, 'settings')).map((row) => [row.id, row.value]))
  const settings: Json = {}
  for (const group of settingGroupNames) settings[group] = shown(group, stored.get(group))
  const inForce = await portsInForce(parts, settings as Record<string, Json>)
  return { revision, settings, fixed: parts.fixed, inForce }
}

export async function readGroup({ parts }: Call, group: SettingGroup) {
  const revision = await headRevision(parts.control)
  const row = await getRow(parts.control, 'settings', group)
  const settings = shown(group, row?.value) as Json
  const inForce = await portsInForce(parts, { [group]: settings })
  return { revision, group, settings, fixed: fixedIn(parts, group), inForce }
}

function shown(group: SettingGroup, json: string | undefined): unknown {
  const open = withoutSecrets({ kind: 'settings', id: group }, JSON.parse(json ?? '{}'))
  return withSecretsOptional<z.ZodType>(settingGroups[group].schema).parse(open)
}

function fixedIn({ fixed }: Dependencies, group: SettingGroup): Record<string, string> {
  return Object.fromEntries(Object.entries(fixed).filter(([key]) => key.startsWith(`${group}.`)))
}

/**
 * Applies a merge patch (RFC 7396) to the group's keys. `null` is refused like any wrong value, because "off" has its
 * own value.
 */
export function changeSettings(call: Call, group: SettingGroup, patch: Json): Promise<WriteResult> {
  return writeRevision(call, { action: 'settings.change', kind: 'settings', entity: group }, async (changeSet) => {
    const before = ((await changeSet.get('settings', group))?.value ?? {}) as Json
    const row = { kind: 'settings', id: group } as const
    const value = await putGroup(changeSet, group, keepSecrets(merge(before, patch), before, secretsOf(row)))
    await refuseContradictions(changeSet)
    return {
      answer: { settings: withoutSecrets(row, value) },
      warnings: [
        ...warningsOf(call.parts, group, patch, value),
        ...(await withoutCertificate(changeSet, group, patch)),
      ],
    }
  })
}

/** Validates and writes the whole group. The stored value includes every default. Throws 422. */
export async function putGroup(changeSet: ChangeSet, group: SettingGroup, value: Json, root = ''): Promise<Json> {
  const { schema } = settingGroups[group]
  const result = schema.safeParse(value)
  if (!result.success)
    throw invalid(
      describeIssues(result.error, value, schema).map(({ path, message }) => ({
        path: [root, path].filter(Boolean).join('.'),
        message,
      })),
    )
  await changeSet.put('settings', group, result.data as never)
  return result.data as Json
}

export function refuseNulls(patch: Json, path: string[] = []): void {
  for (const [key, value] of Object.entries(patch)) {
    if (value === null)
      throw invalid([
        {
          path: [...path, key].join('.'),
          message: 'must not be null; to turn a setting off, set it to "off", "" or 0',
        },
      ])
    if (isObject(value)) refuseNulls(value, [...path, key])
  }
}

export function merge(before: unknown, patch: Json): Json {
  const result: Json = isObject(before) ? { ...before } : {}
  for (const [key, value] of Object.entries(patch))
    Object.defineProperty(result, key, {
      value: isObject(value) ? merge(result[key], value) : value,
      enumerable: true,
      writable: true,
      configurable: true,
    })
  return result
}

/** Warns of values that the environment overrides and of dangerous values. */
function warningsOf(parts: Dependencies, group: SettingGroup, patch: Json, value: Json): string[] {
  const shape = settingGroups[group].schema.shape as Record<string, z.ZodType>
  return Object.keys(patch).flatMap((key) => {
    const meta = shape[key]?.meta() as { title?: string; danger?: { text: string; values?: unknown[] } } | undefined
    const fixed = parts.fixed[`${group}.${key}`]
    return [
      ...(fixed
        ? [
            `${group}.${key} is set by the environment (${fixed}). Your value is saved, but has no effect until you remove that variable.`,
          ]
        : []),
      ...(meta?.danger && (!meta.danger.values || meta.danger.values.includes(value[key]))
        ? [`${group}.${key}: ${meta.danger.text}`]
        : []),
    ]
  })
}

/** Warns of settings that need a certificate when there is none. */
async function withoutCertificate(changeSet: ChangeSet, group: SettingGroup, patch: Json): Promise<string[]> {
  const warnings = [
    ...(patch.implicitTls === true ? ['tls.implicitTls: the port opens once there is a certificate.'] : []),
    ...(patch.requireTls === 'all' ? ['tls.requireTls: nobody can send mail until there is a certificate.'] : []),
  ]
  if (group !== 'tls' || warnings.length === 0) return []
  const rows = await changeSet.all('certificate')
  return rows.some(({ value }) => value.certificate && value.privateKey) ? [] : warnings
}

/** Returns the JSON Schema of every group, with titles, units, defaults and help. */
export function settingsSchema() {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: Object.fromEntries(
      settingGroupNames.map((group) => [
        group,
        {
          ...z.toJSONSchema(settingGroups[group].schema, { io: 'input', unrepresentable: 'any' }),
          title: settingGroups[group].title,
          description: settingGroups[group].help,
        },
      ]),
    ),
  }
}
