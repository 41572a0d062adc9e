import { readdirSync, readFileSync } from 'node:fs'
import { hash } from '@node-rs/argon2'
import { expect, it } from 'vitest'
import { PasswordThreads } from './password-threads.ts'

/** Nice values of this process's threads: the 19th field of `stat`. */
const priorities = () =>
  readdirSync('/proc/self/task').map((tid) =>
    Number(
      readFileSync(`/proc/self/task/${tid}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ')[16],
    ),
  )

it('checks in threads that everything else goes before', async () => {
  const threads = new PasswordThreads()
  const right = await hash('the right one')
  const answers = ['the right one', 'a wrong one', ''].map((password) => threads.check(right, password))
  expect(await Promise.all(answers)).toEqual([true, false, false])
  expect(priorities().filter((nice) => nice === 19).length).toBeGreaterThanOrEqual(3)
  expect(priorities()[0]).toBeLessThan(19)
  await expect(threads.check('no hash', 'x')).rejects.toThrow('cannot be read')
  expect(await threads.check(right, 'the right one')).toBe(true)
})
