import { isObject, type JsonObject as Json } from '@postern/contract/json.ts'

/**
 * Renames the keywords that our schemas add to JSON Schema (units, dangers, secrets) to OpenAPI extensions such as
 * `x-unit`. Everything else stays unchanged.
 */

/** Keywords of JSON Schema 2020-12 and OpenAPI 3.1. */
const keywords = new Set(
  (
    '$id $schema $ref $anchor $dynamicRef $dynamicAnchor $vocabulary $comment $defs allOf anyOf oneOf not if then else ' +
    'dependentSchemas prefixItems items contains properties patternProperties additionalProperties propertyNames ' +
    'unevaluatedItems unevaluatedProperties type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum ' +
    'maxLength minLength pattern maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required ' +
    'dependentRequired title description default deprecated readOnly writeOnly examples format contentEncoding ' +
    'contentMediaType contentSchema discriminator xml externalDocs example'
  ).split(' '),
)
const bySchema = ['items', 'contains', 'additionalProperties', 'propertyNames', 'not', 'if', 'then', 'else']
const byList = ['allOf', 'anyOf', 'oneOf', 'prefixItems']
const byName = ['properties', 'patternProperties', '$defs', 'dependentSchemas']

export function withExtensions(schema: unknown): unknown {
  if (!isObject(schema)) return schema
  return Object.fromEntries(
    Object.entries(writtenOnly(bounded(schema))).map(([key, value]) => {
      if (bySchema.includes(key)) return [key, withExtensions(value)]
      if (byList.includes(key) && Array.isArray(value)) return [key, value.map(withExtensions)]
      if (byName.includes(key) && isObject(value)) return [key, mapped(value, withExtensions)]
      return [keywords.has(key) || key.startsWith('x-') ? key : `x-${key}`, value]
    }),
  )
}

/** Closes a tuple after its last member, because linters require `items` on every array. */
function bounded(schema: Json): Json {
  const { prefixItems: members } = schema
  if (!Array.isArray(members) || 'items' in schema) return schema
  return { minItems: members.length, maxItems: members.length, ...schema, items: {} }
}

/** Marks secrets as write-only. */
function writtenOnly(schema: Json): Json {
  return schema.secret === true ? { ...schema, writeOnly: true } : schema
}

/** Converts every schema of a document: in its components, and in each `schema` of a parameter, body or answer. */
export function withExtensionsIn(document: unknown): unknown {
  if (Array.isArray(document)) return document.map(withExtensionsIn)
  if (!isObject(document)) return document
  return Object.fromEntries(
    Object.entries(document).map(([key, value]) => {
      if (key === 'schema') return [key, withExtensions(value)]
      if (key === 'schemas' && isObject(value)) return [key, mapped(value, withExtensions)]
      return [key, withExtensionsIn(value)]
    }),
  )
}

function mapped(of: Json, change: (value: unknown) => unknown): Json {
  return Object.fromEntries(Object.entries(of).map(([key, value]) => [key, change(value)]))
}
