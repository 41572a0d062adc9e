import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * A real program that a test uses. It listens only on loopback, works in a temporary directory, and is ready when its
 * port answers. Neither it nor its directory outlives `stop()` or the test process.
 */
export type Peer = {
  readonly name: string
  readonly pid: number
  readonly host: string
  readonly port: number
  readonly directory: string
  /** All its output so far, for the report of a failed test. */
  logs(): string
  signal(name: NodeJS.Signals): void
  /** Sends SIGTERM, then SIGKILL after five seconds, and removes the temporary directory. Safe to call twice. */
  stop(): Promise<void>
}

export type PeerProgram = {
  name: string
  command: string
  args: string[]
  host: string
  port: number
  directory: string
  env?: NodeJS.ProcessEnv
  /** Gets its stdout, which is then not kept in the logs. */
  onOutput?: (text: string) => void
  /** Output besides stdout and stderr. */
  moreLogs?: () => string
  /** Milliseconds until the port must answer; 10 000 without it. */
  readyWithinMs?: number
}

const alive = new Map<ChildProcess, string>()
process.on('exit', () => {
  for (const [child, directory] of alive) {
    killGroup(child, 'SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
})

/** Signals the program and all its children. Each peer has its own process group. */
function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It has already ended, as intended.
  }
}

export async function temporaryDirectory(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `postern-${name}-`))
}

/**
 * Returns a port on which nothing listens now, below the range that the system assigns to clients, because a client
 * could soon use such a port. Never returns the same port twice in one process. Another process may take it before it
 * is used; then the start fails and says so.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(10_240, 32_768)
    if (given.has(port)) continue
    given.add(port)
    if (await canListen(host, port)) return port
  }
  throw new Error(`no port on ${host}`)
}

const given = new Set<number>()

function canListen(host: string, port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, host, () => server.close(() => resolve(true)))
  })
}

/** Returns whether something accepts a connection now. */
export function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Checks every `everyMs` until the result is true. Rejects after `withinMs` with `what` it waited for. */
export async function until(
  what: string,
  ask: () => boolean | Promise<boolean>,
  { withinMs = 30_000, everyMs = 20 }: { withinMs?: number; everyMs?: number } = {},
): Promise<void> {
  const end = performance.now() + withinMs
  while (!(await ask())) {
    if (performance.now() > end) throw new Error(`waited ${withinMs} ms in vain until ${what}`)
    await sleep(everyMs)
  }
}

/** Starts a program and resolves when its port answers. If it ends or stays silent, rejects with its output. */
export async function startPeer(program: PeerProgram): Promise<Peer> {
  const child = spawn(program.command, program.args, {
    cwd: program.directory,
    env: { ...process.env, ...program.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  alive.set(child, program.directory)
  const written: string[] = []
  const keep = (text: string) => written.push(text)
  child.stdout.on('data', (chunk) => (program.onOutput ?? keep)(String(chunk)))
  child.stderr.on('data', (chunk) => keep(String(chunk)))
  child.once('error', (error) => keep(`${error}\n`))
  // Not `close`: a grandchild that outlives it may hold its output open.
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()))
  const logs = () => written.join('') + (program.moreLogs?.() ?? '')

  const stop = async () => {
    killGroup(child, 'SIGTERM')
    const force = setTimeout(() => killGroup(child, 'SIGKILL'), 5_000)
    await gone
    clearTimeout(force)
    killGroup(child, 'SIGKILL')
    child.stdout.destroy()
    child.stderr.destroy()
    alive.delete(child)
    await rm(program.directory, { recursive: true, force: true })
  }

  try {
    await until(
      `${program.name} answers on ${program.host}:${program.port}`,
      async () => {
        if (child.exitCode !== null || child.pid === undefined) throw new Error(`${program.name} ended`)
        return answers(program.host, program.port)
      },
      { withinMs: program.readyWithinMs ?? 10_000 },
    )
  } catch (error) {
    const wrote = logs()
    await stop()
    throw new Error(`${program.name} did not start. It wrote:\n${wrote}`, { cause: error })
  }
  return {
    name: program.name,
    pid: child.pid as number,
    host: program.host,
    port: program.port,
    directory: program.directory,
    logs,
    signal: (name) => child.kill(name),
    stop,
  }
}
