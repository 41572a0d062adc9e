import { afterEach } from 'vitest'
import type { Peer } from './peer.ts'

type Writer = {
  readonly name: string
  logs(): string
}

function show(writers: (Writer | undefined)[]): void {
  for (const writer of writers) if (writer) console.error(`--- ${writer.name} wrote:\n${writer.logs()}`)
}

/** For programs that run as long as a test file: prints their output when a test fails. */
export function showLogsOnFailure(writers: () => (Writer | undefined)[]): void {
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') show(writers())
  })
}

/** For programs that run as long as one test: stops them after it, and prints their output if it fails. */
export function peersOfEachTest(): <T extends Peer>(starting: Promise<T>) => Promise<T> {
  const started: Peer[] = []
  afterEach(async ({ task }) => {
    const ended = started.splice(0)
    if (task.result?.state === 'fail') show(ended)
    await Promise.all(ended.map((peer) => peer.stop()))
  })
  return async (starting) => {
    const peer = await starting
    started.push(peer)
    return peer
  }
}
