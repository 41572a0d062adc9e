import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestReceiver } from '../test/receiver-harness.ts'
import { pastBanner, type WireClient } from '../test/wire-client.ts'

/** Sends lines until so many bytes are out, no faster than the server reads. */
async function pour(client: WireClient, line: string, bytes: number): Promise<void> {
  const block = Buffer.from(line.repeat(Math.ceil(65_536 / line.length)), 'latin1')
  for (let sent = 0; sent < bytes; sent += block.length)
    if (!client.socket.write(block)) await once(client.socket, 'drain')
}

describe('a message of 200 MB in 64 MB of heap', () => {
  let child: ChildProcess
  let port = 0
  beforeAll(async () => {
    const file = fileURLToPath(new URL('../test/serve.ts', import.meta.url))
    child = spawn(process.execPath, ['--max-old-space-size=64', file], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
    const [text] = (await once(child.stdout as NodeJS.EventEmitter, 'data')) as [Buffer]
    port = Number(text.toString())
  }, 30_000)
  afterAll(async () => {
    child.kill('SIGTERM')
    await once(child, 'exit')
  })

  const memory = async () => {
    child.send('memory')
    const [usage] = (await once(child, 'message')) as [NodeJS.MemoryUsage]
    return usage
  }

  it('is taken, and the memory does not grow with it', async () => {
    const client = await pastBanner({ port })
    expect(await client.send('warm\r\n')).toMatch(/^250/)
    const before = await memory()
    await client.upToData()
    let most = 0
    const watch = setInterval(async () => {
      most = Math.max(most, (await memory()).rss)
    }, 100)
    await pour(client, `${'x'.repeat(998)}\r\n`, 200 << 20)
    client.write('.\r\n')
    expect(await client.text()).toMatch(/^250 2\.0\.0 /)
    clearInterval(watch)
    const grown = (most - before.rss) / 2 ** 20
    console.log(`200 MB message: resident memory grew by at most ${grown.toFixed(0)} MB`)
    expect(grown).toBeLessThan(120)
    client.destroy()
  }, 120_000)
})

describe('a body whose lines all begin with a dot', () => {
  it('holds up other sessions no longer than another body of its size', async () => {
    // The one that asks all the time would be a flood of commands.
    const receiver = await startTestReceiver({ settings: { security: { autoDenyHackAttempts: false } } })
    const delayWhile = async (line: string) => {
      const client = await pastBanner({ port: receiver.port() })
      const other = await pastBanner({ port: receiver.port() })
      await client.upToData()
      let longest = 0
      let going = true
      const asking = (async () => {
        while (going) {
          const begin = performance.now()
          await other.answer('NOOP')
          longest = Math.max(longest, performance.now() - begin)
        }
      })()
      const before = process.cpuUsage()
      await pour(client, line, 8 << 20)
      client.write('.\r\n')
      expect(await client.text()).toMatch(/^250/)
      const { user, system } = process.cpuUsage(before)
      const took = (user + system) / 1000
      going = false
      await asking
      client.destroy()
      other.destroy()
      return { longest, took }
    }
    await delayWhile('warm up\r\n')
    const plain = await delayWhile(`${'x'.repeat(72)}\r\n`)
    const dots = await delayWhile('..\r\n')
    console.log(
      `8 MiB: plain ${plain.took.toFixed(0)} ms of CPU, longest wait ${plain.longest.toFixed(1)}; dots ${dots.took.toFixed(0)} ms, longest wait ${dots.longest.toFixed(1)}`,
    )
    // smtp-server 3.21.6: about 2 500 ms of event loop for these 8 MiB.
    expect(dots.took).toBeLessThan(plain.took * 10 + 500)
    await receiver.close()
  }, 120_000)
})

describe('a message far past the limit that does not end', () => {
  it('is answered and the connection closed, instead of read for ever', async () => {
    const receiver = await startTestReceiver({ settings: { general: { maxMessageBytes: 10_000 } } })
    const client = await pastBanner({ port: receiver.port() })
    await client.upToData()
    client.socket.on('error', () => {})
    void pour(client, `${'x'.repeat(998)}\r\n`, 200 << 20).catch(() => {})
    expect(await client.text()).toMatch(/^552 5\.3\.4 /)
    await client.untilClosed()
    expect(receiver.events.filter(({ type }) => type === 'session.error')).toMatchObject([{ reason: 'too-large' }])
    await receiver.close()
  }, 60_000)
})
