import { execFileSync } from 'node:child_process'
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { figure, median } from './figures.ts'

/** The conditions of a measurement, without which its figures mean nothing. One line each. */
export function conditions(): string {
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor'
  const gib = (totalmem() / 2 ** 30).toFixed(0)
  return [
    `${new Date().toISOString()}, ${cpus().length} cores (${processor}), ${gib} GiB, Linux ${release()}, Node ${process.version}`,
    `${postfixVersion()}; everything on one machine and loopback, load tools included`,
    `load average before: ${loadavg()[0]?.toFixed(2)} (the machine should be idle); fdatasync of 4 KiB: ${figure(syncMs())} ms`,
  ].join('\n')
}

function postfixVersion(): string {
  try {
    const [name, value] = execFileSync('/usr/sbin/postconf', ['-d', 'mail_version'], { encoding: 'utf8' }).split(' = ')
    return name && value ? `Postfix ${value.trim()}` : 'Postfix'
  } catch {
    return 'no Postfix here'
  }
}

/** Measures the cost of a sync on the disk that the servers use. */
function syncMs(): number {
  const path = join(tmpdir(), `postern-sync-${process.pid}`)
  const file = openSync(path, 'w')
  const block = Buffer.alloc(4096, 1)
  const samples = Array.from({ length: 51 }, () => {
    writeSync(file, block)
    const start = performance.now()
    fdatasyncSync(file)
    return performance.now() - start
  })
  closeSync(file)
  rmSync(path)
  return median(samples)
}
