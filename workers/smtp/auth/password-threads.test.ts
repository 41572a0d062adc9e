import { readdirSync, readFileSync } from 'node:fs'
import { hash } from '@node-rs/argon2'
import { expect, it } from 'vitest'
import { PasswordThreads } from './password-threads.ts'

/** This process's threads as proc(5) tells of them: nice value and scheduling policy, fields 19 and 41 of `stat`. */
const threadsNow = () =>
  readdirSync('/proc/self/task').map((tid) => {
    const fields = readFileSync(`/proc/self/task/${tid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ')
    return { nice: Number(fields[16]), policy: Number(fields[38]) }
  })
const idle = 5

it.each([false, true])('checks in threads that everything else goes before; idlePriority: %s', async (idlePriority) => {
  const threads = new PasswordThreads({ idlePriority })
  const right = await hash('the right one')
  const answers = ['the right one', 'a wrong one', ''].map((password) => threads.check(right, password))
  expect(await Promise.all(answers)).toEqual([true, false, false])
  expect(threadsNow().filter(({ nice }) => nice === 19).length).toBeGreaterThanOrEqual(3)
  if (idlePriority) expect(threadsNow().filter(({ policy }) => policy === idle).length).toBeGreaterThanOrEqual(3)
  expect(threadsNow()[0]).toEqual({ nice: expect.toSatisfy((nice: number) => nice < 19), policy: 0 })
  await expect(threads.check('no hash', 'x')).rejects.toThrow('cannot be read')
  expect(await threads.check(right, 'the right one')).toBe(true)
})

it('stays at the lowest priority where there is no chrt, or it may do nothing', async () => {
  const { PATH } = process.env
  process.env.PATH = '/nowhere'
  try {
    const before = threadsNow().filter(({ policy }) => policy === idle).length
    const threads = new PasswordThreads({ idlePriority: true })
    expect(await threads.check(await hash('the right one'), 'the right one')).toBe(true)
    expect(threadsNow().filter(({ policy }) => policy === idle)).toHaveLength(before)
    expect(threadsNow().some(({ nice, policy }) => nice === 19 && policy === 0)).toBe(true)
  } finally {
    process.env.PATH = PATH
  }
})
