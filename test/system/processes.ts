import { readdirSync, readFileSync } from 'node:fs'

/** Reads information about a process and its children from Linux. Changes nothing. */

export type ProcessInfo = {
  pid: number
  parent: number
  command: string
  /** Used by it and by its ended children whose end it has taken note of, in microseconds (10 ms steps). */
  cpuMicros: number
}

/** sysconf(_SC_CLK_TCK), which is 100 on every Linux in use. */
const ticksPerSecond = 100

/** Returns undefined if there is no such process, or it has ended and is not reaped yet. */
function processInfo(pid: number): ProcessInfo | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the name in brackets, which may hold anything; the others follow the last bracket.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // Killed, but its other threads may still be ending, and hold its sockets until then.
    if (fields[0] === 'Z' && readdirSync(`/proc/${pid}/task`).length < 2) return undefined
    const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0)
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim()
    return { pid, parent: Number(fields[1]), command, cpuMicros: (ticks * 1_000_000) / ticksPerSecond }
  } catch {
    return undefined
  }
}

function allProcesses(): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processInfo(Number(name)))
    .filter((info) => info !== undefined)
}

/** Returns this process and all its descendants, or nothing if it is gone. */
function processTree(root: number): ProcessInfo[] {
  const all = allProcesses()
  const tree = all.filter((info) => info.pid === root)
  for (const info of tree) tree.push(...all.filter((other) => other.parent === info.pid))
  return tree
}

/** CPU time of a whole tree so far, in microseconds: the ended ones count through their parents. */
export function cpuMicros(root: number): number {
  return processTree(root).reduce((sum, info) => sum + info.cpuMicros, 0)
}

/** Returns all processes started with this in their environment, whatever their parent is now. */
export function processesWith(name: string, value: string): ProcessInfo[] {
  const wanted = `${name}=${value}`
  return allProcesses().filter(({ pid }) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(wanted)
    } catch {
      return false
    }
  })
}

/** CPU time of one process alone; 0 when it is gone. */
export function ownCpuMicros(pid: number): number {
  return processInfo(pid)?.cpuMicros ?? 0
}

export function isAlive(pid: number): boolean {
  return processInfo(pid) !== undefined
}

/** Resident memory of one process in bytes; NaN when it is gone. */
export function residentBytes(pid: number): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Number(kilobytes) * 1024
  } catch {
    return Number.NaN
  }
}

/** Number of files, sockets and pipes that one process has open; NaN when it is gone. */
export function openDescriptors(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch {
    return Number.NaN
  }
}
