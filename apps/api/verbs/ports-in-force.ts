import { insteadOf } from '@postern/contract/environment.ts'
import type { PortInForce } from '@postern/contract/views.ts'
import { headRevision } from '@postern/store/control/revisions.ts'
import { isLive, listWorkers } from '@postern/store/records/workers.ts'
import type { Dependencies } from '../dependencies.ts'

/**
 * Finds open ports that differ from the saved ones. The environment may fix a port, or a worker may have failed to open
 * it.
 */

type Groups = Record<string, Record<string, unknown>>
type Open = { name: string; port: number }

const ports = [
  { key: 'advanced.port', isOf: (name: string) => name === 'smtp' },
  { key: 'advanced.submissionPort', isOf: (name: string) => name === 'submission' },
  { key: 'advanced.extraPorts', isOf: (name: string) => name.startsWith('extra-') },
  { key: 'tls.implicitTlsPort', isOf: (name: string) => name === 'smtps' },
] as const

type Reported = { id: string; revision: number; detail?: string | undefined; listeners: Open[] }
type Asked = { key: string; saved: number[]; open: Open[]; worker: Reported; head: number }

/** Returns differences by setting key, for example `advanced.port`. Omits ports that match the saved value. */
export async function portsInForce(parts: Dependencies, settings: Groups): Promise<Record<string, PortInForce[]>> {
  const workers = await smtpWorkers(parts)
  const head = await headRevision(parts.control)
  const different = ports.flatMap(({ key, isOf }) => {
    const saved = savedIn(settings, key)
    if (saved === undefined) return []
    const found = workers.flatMap((worker) => {
      const open = worker.listeners.filter(({ name }) => isOf(name))
      if (isSame(saved, open)) return []
      const because = reasonOf(parts, { key, saved, open, worker, head })
      return [{ worker: worker.id, ports: open.map(({ port }) => port), ...(because ? { because } : {}) }]
    })
    return found.length > 0 ? [[key, found] as const] : []
  })
  return Object.fromEntries(different)
}

/** Returns live workers that should have their ports open. */
async function smtpWorkers({ records, now }: Dependencies): Promise<Reported[]> {
  return (await listWorkers(records)).flatMap(({ id, service, heartbeatAt, report }) => {
    const isUp = report?.observed === 'running' || report?.observed === 'degraded'
    if (service !== 'smtp' || !report || !isUp || !isLive({ heartbeatAt }, now())) return []
    return [{ id, revision: report.revision, detail: report.detail, listeners: report.listeners }]
  })
}

/** Returns the saved ports, or `undefined` if the group was not requested or the port is turned off. */
function savedIn(settings: Groups, key: string): number[] | undefined {
  const [group = '', name = ''] = key.split('.')
  const values = settings[group]
  if (!values || (name === 'implicitTlsPort' && values.implicitTls !== true)) return undefined
  const value = values[name]
  return Array.isArray(value) ? value.map(Number) : [Number(value)]
}

function isSame(saved: readonly number[], open: readonly Open[]): boolean {
  const found = new Set(open.map(({ port }) => port))
  return found.size === saved.length && saved.every((port) => found.has(port))
}

function reasonOf(parts: Dependencies, { key, saved, open, worker, head }: Asked): string | undefined {
  const fixed = parts.fixed[key]?.replace(/=.*$/, '')
  if (fixed !== undefined) return `fixed by ${fixed}`
  const failed = worker.detail?.split('; ').filter((part) => saved.some((port) => part.includes(` on port ${port}: `)))
  if (failed && failed.length > 0) return failed.join('; ')
  if (worker.revision < head) return `it is still on revision ${worker.revision}, not ${head}`
  const isShifted = saved.some((port) => open.some((one) => one.port === insteadOf.get(port)))
  if (isShifted) return 'it cannot open ports below 1024 without root'
  return key === 'tls.implicitTlsPort' && open.length === 0 ? 'it opens as soon as there is a certificate' : undefined
}
