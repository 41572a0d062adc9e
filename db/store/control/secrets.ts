import { type RowName, secretsOf } from '@postern/contract/rows.ts'
import { replaceSecrets, type SecretPlace, withoutSecrets as without } from '@postern/contract/secrets.ts'
import type { Seal } from '../seal.ts'

/** Seals secrets of rows at rest, and hides them in output. The contract defines their places. */

const placeOf = ({ kind, id }: RowName, path: string) => `${kind}/${id}/${path}`

/** Encodes a value for storage. */
export async function sealRow(row: RowName, value: unknown, seal: Seal): Promise<string> {
  return JSON.stringify(
    await replaceEach(value, secretsOf(row), (secret, path) => seal.seal(secret, placeOf(row, path))),
  )
}

/** Decodes a value that `sealRow` encoded. */
export async function openRow(row: RowName, json: string, seal: Seal): Promise<unknown> {
  const value: unknown = JSON.parse(json)
  return replaceEach(value, secretsOf(row), (sealed, path) => seal.open(sealed, placeOf(row, path)))
}

async function replaceEach(
  value: unknown,
  places: readonly SecretPlace[],
  replace: (secret: string, path: string) => Promise<string>,
): Promise<unknown> {
  if (places.length === 0) return value
  const found = new Map<string, string>()
  replaceSecrets(value, places, (secret, { path }) => {
    found.set(path, secret)
    return secret
  })
  if (found.size === 0) return value
  const replaced = await Promise.all([...found].map(async ([path, text]) => [path, await replace(text, path)] as const))
  const texts = new Map(replaced)
  return replaceSecrets(value, places, (_, { path }) => texts.get(path))
}

/** Returns the value without its secrets, for answers. Needs no key. */
export function withoutSecrets(row: RowName, value: unknown): unknown {
  return without(value, secretsOf(row))
}

/** Returns the value with its secrets masked, for diffs: only their presence is visible. Needs no key. */
export function withSecretsHidden(row: RowName, value: unknown): unknown {
  return replaceSecrets(value, secretsOf(row), () => '(secret)')
}
