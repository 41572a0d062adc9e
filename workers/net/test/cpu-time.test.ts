import { expect, it } from 'vitest'
import { cpuTime, growth, superlinear } from './cpu-time.ts'

let sum = 0
const spin = (times: number) => {
  for (let i = 0; i < times; i++) sum = (sum * 31 + i) % 1_000_003
}

it('tells linear from quadratic time', () => {
  expect(growth(100_000, spin)).toBeLessThan(superlinear)
  expect(growth(600, (size) => spin(size * size))).toBeGreaterThan(superlinear)
})

it('does not count time in which the thread waits', () => {
  const waiting = cpuTime(() => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    spin(2_000_000)
  })
  expect(waiting / cpuTime(() => spin(2_000_000))).toBeLessThan(1.5)
})
