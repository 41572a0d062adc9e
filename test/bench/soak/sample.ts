import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Books } from '@postern/contract/views.ts'
import type { Postern, PosternProcess } from '../../system/postern.ts'
import { openDescriptors, residentBytes } from '../../system/processes.ts'

/** What a running Postern uses at one moment, read from outside: /proc, /metrics, the books, and the files on disk. */

export const parts = ['api', 'smtp', 'queue'] as const satisfies PosternProcess[]
export type Part = (typeof parts)[number]

/** The folders of the data directory that mail and events go through. */
export const folders = ['spool', 'queue', 'db', 'worker', 'log', 'cache'] as const
export type Folder = (typeof folders)[number]

export type Sample = {
  /** Seconds since the load began. */
  at: number
  resident: Record<Part, number>
  heap: Record<Part, number>
  descriptors: Record<Part, number>
  /** Allocated bytes on disk. */
  disk: Record<Folder, number>
  waiting: number
  eventsUnsent: number
  /** Unequal to 0 while events are on their way. */
  balance: number
  /** Messages accepted so far, and in a second since the sample before. */
  accepted: number
  perSecond: number
  p99Ms: number
}

export async function takeSample(
  postern: Postern,
  load: Pick<Sample, 'at' | 'accepted' | 'perSecond' | 'p99Ms'>,
): Promise<Sample> {
  const [text, books] = await Promise.all([metricsOf(postern), postern.books()])
  return {
    ...load,
    resident: byPart((part) => sum(postern.pids(part), residentBytes)),
    heap: byPart((part) => heapOf(text, part)),
    descriptors: byPart((part) => sum(postern.pids(part), openDescriptors)),
    disk: await diskOf(postern.dataDirectory),
    ...waitingOf(books),
  }
}

function waitingOf({ total, eventsUnsent, queuedByWorkers }: Books) {
  return { waiting: queuedByWorkers ?? total.queued, eventsUnsent, balance: total.balance }
}

async function metricsOf({ url }: Postern): Promise<string> {
  return (await fetch(`${url}/metrics`)).text()
}

function heapOf(metrics: string, part: Part): number {
  const name =
    part === 'api'
      ? 'postern_api_nodejs_heap_size_used_bytes'
      : `postern_heap_used_bytes\\{(?=[^}]*service="${part}")[^}]*\\}`
  const values = [...metrics.matchAll(new RegExp(`^${name} (\\S+)$`, 'gm'))].map(([, value]) => Number(value))
  return values.length === 0 ? Number.NaN : sum(values, (value) => value)
}

async function diskOf(dataDirectory: string): Promise<Sample['disk']> {
  const sizes = await Promise.all(folders.map((folder) => allocatedBytes(join(dataDirectory, folder))))
  return Object.fromEntries(folders.map((folder, n) => [folder, sizes[n]])) as Sample['disk']
}

/** Like `du`. Files that are removed meanwhile count as nothing. */
async function allocatedBytes(directory: string): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => [])
  let bytes = 0
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const file = await lstat(join(entry.parentPath, entry.name)).catch(() => undefined)
    bytes += (file?.blocks ?? 0) * 512
  }
  return bytes
}

function byPart(value: (part: Part) => number): Record<Part, number> {
  return Object.fromEntries(parts.map((part) => [part, value(part)])) as Record<Part, number>
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0)
}
