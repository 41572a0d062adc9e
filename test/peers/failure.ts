import { afterEach } from 'vitest'
import type { Peer } from './peer.ts'

type Writer = {
  readonly name: string
  logs(): string
}

function show(writers: (Writer | undefined)[]): void {
  for (const writer of writers) if (writer) console.error(`--- ${writer.name} wrote:\n${writer.logs()}`)
}

/** For what lives as long as a test file: prints what each wrote when a test fails. */
export function showLogsOnFailure(writers: () => (Writer | undefined)[]): void {
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') show(writers())
  })
}

/** For what lives as long as one test: what is kept with the answer is stopped after it, and shown when it fails. */
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
