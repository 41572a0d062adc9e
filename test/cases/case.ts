import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { draftSchema } from '@postern/contract/draft.ts'
import { eventTypeNames } from '@postern/contract/events.ts'
import { reasons } from '@postern/contract/reasons.ts'
import { ruleSchema, stageNames } from '@postern/contract/rules.ts'
import { sessionRecordSchema } from '@postern/contract/session-facts.ts'
import { z } from 'zod'

/**
 * A case is a file: the settings, what the client sends and the replies it must get, which rule decides, and why. It
 * runs in three ways: the decision in process, `POST /v1/simulate`, and a live worker with real commands and a real DNS
 * server that answers as `facts.lookups` say.
 */

export const caseSchema = z.strictObject({
  number: z.number().int().min(1),
  name: z.string().min(5).max(150),
  /** Why the result is right: the row of the catalogue, the RFC, the danger. */
  why: z.string().min(10),
  /** Keys of settings (`security.checkHelo`), lists (`list:kill`) and kinds of the directory (`directory:alias`) that it proves. */
  proves: z.array(z.string()),
  /** Settings as merge patches, and complete lists and directory, on top of the world in `world.ts`. */
  given: draftSchema.default({}),
  /** Facts besides the dialogue: address, look-ups, port. `{ip}` stands for the case's own address. */
  facts: sessionRecordSchema.partial().default({}),
  /** What the client sends, and how the reply must begin. `""` is the connection, what follows DATA is the message. */
  dialogue: z.array(z.tuple([z.string(), z.string()])).min(1),
  /** The last decision. */
  verdict: z.strictObject({
    stage: z.enum(stageNames),
    rule: ruleSchema,
    reason: z.enum(reasons),
    /** Other rules in the trail of that stage, with their results. */
    trail: z.partialRecord(ruleSchema, z.enum(['passed', 'watched', 'not-known', 'exempt'])).optional(),
  }),
  /**
   * Types of events that the live worker records about this client, each once: exactly these. The event of a refusal
   * has the verdict above.
   */
  events: z.array(z.enum(eventTypeNames)),
})
export type CaseInput = z.input<typeof caseSchema>
export type Case = z.output<typeof caseSchema> & { ip: string }

/** Reads one case and puts its client address in place of `{ip}`. Throws an Error that names the case. */
export function readCase(input: CaseInput | string, where: string): Case {
  const raw = typeof input === 'string' ? (JSON.parse(input) as CaseInput) : input
  const ip = (raw.facts as { ip?: string } | undefined)?.ip ?? `198.18.${raw.number >> 8}.${raw.number & 255}`
  const text = JSON.stringify(raw).replaceAll('{ip}', ip)
  const parsed = caseSchema.safeParse(JSON.parse(text))
  if (!parsed.success) throw new Error(`${where}: ${z.prettifyError(parsed.error)}`)
  return { ...parsed.data, ip }
}

/** The files of this folder, in the order of the numbers in their names. */
export function casesOnDisk(): Case[] {
  const names = readdirSync(import.meta.dirname).filter((name) => /^\d{4}-.*\.json$/.test(name))
  const found = names.sort().map((name) => {
    const one = readCase(readFileSync(join(import.meta.dirname, name), 'utf8'), name)
    if (one.number !== Number(name.slice(0, 4))) throw new Error(`${name} has the number ${one.number}`)
    return one
  })
  return found
}
