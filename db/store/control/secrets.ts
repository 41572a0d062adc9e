import type { RowKind } from '@postern/contract/rows.ts'
import type { Seal } from '../seal.ts'

/** Where secrets stand in the values of rows. Everything that seals, opens or hides one asks here. */
const secretPaths: Partial<Record<RowKind, readonly (readonly string[])[]>> = {
  settings: [
    ['gateway', 'secret'],
    ['deliveryApplication', 'secret'],
  ],
  domain: [['route', 'secret']],
  account: [['secretHash']],
  certificate: [['privateKey']],
  'dkim-key': [['privateKey']],
}

type Json = { [key: string]: unknown }

/** The value with each of its secrets replaced. `undefined` from `replace` leaves the secret out. */
async function replaceSecrets(
  kind: RowKind,
  value: unknown,
  replace: (secret: string, path: string) => Promise<string | undefined>,
): Promise<unknown> {
  let result = value
  for (const path of secretPaths[kind] ?? []) {
    const secret = path.reduce<unknown>((at, name) => (isObject(at) ? at[name] : undefined), result)
    if (typeof secret === 'string') result = set(result as Json, path, await replace(secret, path.join('.')))
  }
  return result
}

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

function set(value: Json, [name = '', ...rest]: readonly string[], to: string | undefined): Json {
  if (rest.length > 0) return { ...value, [name]: set(value[name] as Json, rest, to) }
  const { [name]: _, ...others } = value
  return to === undefined ? others : { ...value, [name]: to }
}

/** Whether values of a kind can hold a secret. */
export const holdsSecrets = (kind: RowKind): boolean => secretPaths[kind] !== undefined

export type RowName = { kind: RowKind; id: string }

/** The value as it is written to disk. */
export async function sealRow({ kind, id }: RowName, value: unknown, seal: Seal): Promise<string> {
  return JSON.stringify(await replaceSecrets(kind, value, (secret, path) => seal.seal(secret, `${kind}/${id}/${path}`)))
}

/** The value as it was before `sealRow`. */
export async function openRow({ kind, id }: RowName, json: string, seal: Seal): Promise<unknown> {
  const value: unknown = JSON.parse(json)
  return secretPaths[kind]
    ? replaceSecrets(kind, value, (sealed, path) => seal.open(sealed, `${kind}/${id}/${path}`))
    : value
}

/** For answers: without its secrets. Needs no key. */
export function withoutSecrets(kind: RowKind, value: unknown): Promise<unknown> {
  return replaceSecrets(kind, value, async () => undefined)
}

/** For diffs: a secret is there, and that is all that is said. Needs no key. */
export function withSecretsHidden(kind: RowKind, value: unknown): Promise<unknown> {
  return replaceSecrets(kind, value, async () => '(secret)')
}
