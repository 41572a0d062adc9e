import { afterEach, expect, test } from 'vitest'
import { Thread, type ThreadOptions, type ThreadResponse } from './thread.ts'

type Request = { id: number; text?: string; end?: true }
type Response = ThreadResponse & { text?: string }

const source = `
  const { parentPort } = require('node:worker_threads')
  parentPort.on('message', ({ id, text, end }) => {
    if (end) process.exit()
    if (text === 'throw') throw new Error('a fault')
    if (text === 'refuse') parentPort.postMessage({ id, error: 'refused', code: 'FULL' })
    else if (text !== 'silent') parentPort.postMessage({ id, text: text.toUpperCase() })
  })`
const script = new URL(
  `data:text/javascript,import{createRequire}from'node:module';const require=createRequire('/');${encodeURIComponent(source)}`,
)

let thread: Thread<Request, Response>
function open(options: Partial<ThreadOptions> = {}) {
  thread = new Thread({ script, task: 'shouting', ...options })
}
const ask = (text: string) => thread.ask({ id: thread.nextId(), text })

afterEach(() => thread.close())

test('each request has its response', async () => {
  open()
  const answers = await Promise.all(['a', 'b', 'c'].map(ask))
  expect(answers.map(({ text }) => text)).toEqual(['A', 'B', 'C'])
})

test('an error of the thread rejects with its code', async () => {
  open()
  await expect(ask('refuse')).rejects.toMatchObject({ message: 'refused', code: 'FULL' })
})

test('a thread that ends rejects what waits, and the next request starts another', async () => {
  open()
  const waiting = ask('silent')
  thread.post({ id: thread.nextId(), end: true })
  await expect(waiting).rejects.toThrow('the thread of shouting ended')
  expect(await ask('again')).toMatchObject({ text: 'AGAIN' })
})

test('a thread with a state of its own is not replaced, and says why it ended', async () => {
  open({ once: true })
  expect(await ask('a')).toMatchObject({ text: 'A' })
  await expect(ask('throw')).rejects.toThrow('the thread of shouting ended: a fault')
  await expect(ask('again')).rejects.toThrow('the thread of shouting ended: a fault')
})

test('a response that takes too long is an error', async () => {
  open({ timeoutMs: 20 })
  await expect(ask('silent')).rejects.toThrow('shouting took too long')
})

test('more requests than may wait are rejected', async () => {
  open({ maxPending: 1 })
  const first = ask('silent')
  await expect(ask('second')).rejects.toThrow('1 requests are waiting')
  await thread.close()
  await expect(first).rejects.toThrow('ended')
})
