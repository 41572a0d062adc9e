import { settingGroupSchema } from '@postern/contract/settings.ts'
import { portInForceSchema, writeResultSchema } from '@postern/contract/views.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { changeSettings, readGroup, readSettings, settingsSchema } from '../verbs/settings.ts'

const params = z.object({ group: settingGroupSchema })
const anyObject = z.record(z.string(), z.unknown())
const fixed = z.record(z.string(), z.string())
/** Ports that differ from the saved value, by setting key. */
const inForce = z.record(z.string(), z.array(portInForceSchema))

export const settingsRoutes: Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/settings',
    scope: 'viewer',
    tag: 'Settings',
    summary: 'All settings',
    answer: z.object({ revision: z.number().int(), settings: z.record(z.string(), anyObject), fixed, inForce }),
    handle: (call) => readSettings(call),
  }),
  endpoint({
    method: 'get',
    path: '/v1/settings/schema',
    scope: 'viewer',
    tag: 'Settings',
    summary: 'JSON Schema of the settings, with titles, units, defaults and help',
    answer: anyObject,
    handle: async () => settingsSchema(),
  }),
  endpoint({
    method: 'get',
    path: '/v1/settings/{group}',
    scope: 'viewer',
    tag: 'Settings',
    summary: 'One group of settings',
    params,
    answer: z.object({ revision: z.number().int(), group: settingGroupSchema, settings: anyObject, fixed, inForce }),
    handle: (call, { params }) => readGroup(call, params.group),
  }),
  endpoint({
    method: 'patch',
    path: '/v1/settings/{group}',
    scope: 'admin',
    tag: 'Settings',
    summary: 'Change settings of a group (JSON merge patch)',
    params,
    body: anyObject,
    write: true,
    answer: writeResultSchema.extend({ settings: anyObject }),
    handle: (call, { params, body }) => changeSettings(call, params.group, body),
  }),
]
