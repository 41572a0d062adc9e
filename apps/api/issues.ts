import type { z } from 'zod'
import type { FieldError } from './problem.ts'

type Issue = z.core.$ZodIssue

/** What zod found, as `{path, message}`: the message names the value and what is allowed. `root` goes before every path. */
export function fieldErrors(error: z.ZodError, input: unknown, root = ''): FieldError[] {
  return error.issues.flatMap((issue) => errorsOf(issue, input, root ? [root] : []))
}

function errorsOf(issue: Issue, input: unknown, root: PropertyKey[]): FieldError[] {
  const path = [...root, ...issue.path]
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: dotted([...path, key]), message: 'is not a known key' }))
  if (issue.code === 'invalid_union') {
    const closest = closestBranch(issue.errors)
    if (closest) return closest.flatMap((inner) => errorsOf(inner, valueAt(input, issue.path), path))
  }
  return [{ path: dotted(path), message: messageOf(issue, valueAt(input, issue.path)) }]
}

/** The branch that got furthest: of an object with one bad key, not the word it could have been instead. */
function closestBranch(branches: readonly Issue[][]): readonly Issue[] | undefined {
  const depth = (issues: readonly Issue[]) =>
    Math.max(0, ...issues.map(({ path, code }) => path.length * 2 + Number(code === 'unrecognized_keys')))
  return branches.filter((issues) => depth(issues) > 0).sort((a, b) => depth(b) - depth(a))[0]
}

function messageOf(issue: Issue, value: unknown): string {
  if (issue.code === 'custom') return issue.message
  if (value === undefined && issue.code === 'invalid_type') return `is missing; ${issue.message}`
  return `${issue.message}, not ${shown(value)}`
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

function valueAt(input: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined),
    input,
  )
}

const dotted = (path: PropertyKey[]) => path.map(String).join('.')
