import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Measures durable messages per second: the local spool compared with a file and a sync for each message, interleaved
 * in the same run. The directory is on the disk of the checkout (or the first argument), because a tmpfs would sync at
 * no cost. Workspaces are imported by path, as everywhere in `test`.
 */

const root = new URL('../../', import.meta.url)
const { openLocalWriter } = await import(new URL('workers/spool/local/writer.ts', root).href)

const runMs = 400
const rounds = 3

type Store = {
  write(body: Buffer, envelope: object): Promise<unknown>
  close(): Promise<void>
}

async function spoolStore(directory: string): Promise<Store> {
  const writer = await openLocalWriter({ directory, name: 'smtp-1' })
  return { write: (body, envelope) => writer.write({ envelope, body }), close: () => writer.close() }
}

async function fileStore(directory: string): Promise<Store> {
  let number = 0
  await mkdir(join(directory, 'files'))
  const write = async (body: Buffer, envelope: object) => {
    const file = await open(join(directory, 'files', `${number++}`), 'wx')
    await file.writev([Buffer.from(JSON.stringify(envelope)), body])
    await file.datasync()
    await file.close()
  }
  return { write, close: async () => {} }
}

type Figure = {
  rate: number
  cpu: number
}

function envelope(number: number): object {
  return {
    id: `0194a7b0-0000-7000-8000-${String(number).padStart(12, '0')}`,
    receivedAt: Date.now(),
    worker: 'smtp-1',
    revision: 118,
    origin: 'smtp',
    sender: 'alice@example.org',
    recipients: [{ address: 'bob@example.net', original: 'bob@example.net' }],
    body: '8bitmime',
    smtpUtf8: false,
    hops: 1,
    client: {
      ip: '127.0.0.1',
      helo: 'client.example.org',
      tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
    },
  }
}

async function measure(
  make: (directory: string) => Promise<Store>,
  load: { bytes: number; writers: number },
): Promise<Figure> {
  const directory = await mkdtemp(join(process.argv[2] ?? fileURLToPath(root), 'bench-spool-'))
  const store = await make(directory)
  const body = Buffer.alloc(load.bytes, 'All work and no play makes Jack a dull boy.\r\n')
  let messages = 0
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const client = async () => {
    while (performance.now() - begun < runMs) await store.write(body, envelope(messages++))
  }
  await Promise.all(Array.from({ length: load.writers }, client))
  const seconds = (performance.now() - begun) / 1000
  const used = process.cpuUsage(cpu)
  await store.close()
  await rm(directory, { recursive: true })
  return { rate: messages / seconds, cpu: (used.user + used.system) / messages }
}

function median(figures: readonly Figure[], of: keyof Figure): number {
  return figures.map((figure) => figure[of]).sort((a, b) => a - b)[figures.length >> 1]!
}

console.log('bytes  writers   spool msg/s  CPU µs   file msg/s  CPU µs   ratio')
for (const bytes of [1024, 10_240, 102_400]) {
  for (const writers of [1, 10, 50]) {
    const spool: Figure[] = []
    const files: Figure[] = []
    for (let round = 0; round < rounds; round++) {
      spool.push(await measure(spoolStore, { bytes, writers }))
      files.push(await measure(fileStore, { bytes, writers }))
    }
    const rate = median(spool, 'rate')
    const fileRate = median(files, 'rate')
    const cells = [
      String(bytes).padStart(6),
      String(writers).padStart(8),
      rate.toFixed(0).padStart(13),
      median(spool, 'cpu').toFixed(0).padStart(7),
      fileRate.toFixed(0).padStart(12),
      median(files, 'cpu').toFixed(0).padStart(7),
      `${(rate / fileRate).toFixed(1)} ×`.padStart(8),
    ]
    console.log(cells.join(' '))
  }
}
