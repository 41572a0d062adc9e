import { describe, expect, it } from 'vitest'
import { lookupsSchema } from './lookups.ts'
import { reasons } from './reasons.ts'
import { type ReplyName, replies } from './replies.ts'
import { reasonOf, ruleNames, ruleRow, rulesNeverWatched, watchableRuleSchema } from './rules.ts'

const camel = (name: string) => name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())

describe('the rows of the rules', () => {
  /** Look-ups that have a name of their own: `rates` is read by several rules, the other is the answer of an application. */
  const ownNames = ['rates', 'application', 'applicationTrouble']

  it('name a look-up as the rule that reads it', () => {
    for (const rule of ruleNames) {
      const { reads } = ruleRow(rule)
      if (reads && !ownNames.includes(reads)) expect(reads).toBe(camel(rule))
    }
  })

  it('leave no look-up out', () => {
    const read = ruleNames.map((rule) => ruleRow(rule).reads)
    const others = Object.keys(lookupsSchema.shape).filter((name) => name !== 'applicationTrouble')
    expect(others.filter((name) => !read.includes(name as never))).toEqual([])
  })

  it('give every reply of a rule its reason, and a class that refuses or answers', () => {
    for (const rule of ruleNames)
      for (const reply of Object.keys(ruleRow(rule).replies) as ReplyName[]) {
        expect(reasonOf(rule, reply)).toBe(ruleRow(rule).replies[reply])
        expect([rule, reply, String(replies[reply].code)]).toEqual([rule, reply, expect.stringMatching(/^[245]/)])
      }
    expect(reasonOf('soft-error-limit', undefined)).toBe('too-many-errors')
  })

  it('spell reasons like rules', () => {
    for (const reason of reasons) expect(reason).toMatch(/^[a-z]+(-[a-z]+)*$/)
  })

  it('say why a rule cannot be watched', () => {
    for (const rule of rulesNeverWatched) {
      const { error } = watchableRuleSchema.safeParse(rule)
      expect(error?.issues[0]?.message).toContain(`${rule} cannot, because ${ruleRow(rule).neverWatched}`)
    }
    expect(watchableRuleSchema.safeParse('toString').success).toBe(false)
  })
})
