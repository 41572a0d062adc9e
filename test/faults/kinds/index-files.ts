import { rmSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../peers/peer.ts'
import type { Postern } from '../../system/postern.ts'
import { copyDatabase } from '../copy-database.ts'
import type { Kind } from '../round.ts'

/** Loses the queue index, or restores it from a backup, while mail waits. */

const queueFile = ({ dataDirectory }: Postern) => join(dataDirectory, 'queue', 'queue.db')
const moment = (most: number) => sleep(Math.random() * most)

/** The next process is started within a fraction of a second, and needs longer than this to open the file. */
async function killAndRemove(postern: Postern, suffixes = ['', '-wal', '-shm']): Promise<void> {
  await postern.kill('queue')
  for (const suffix of suffixes) rmSync(queueFile(postern) + suffix, { force: true })
}

function backUp(postern: Postern): string {
  const copy = `${queueFile(postern)}.backup`
  copyDatabase(queueFile(postern), copy)
  return copy
}

const lost: Kind = {
  name: 'index lost',
  disturb: async ({ postern, holdUp }) => {
    await holdUp()
    await moment(1_500)
    await killAndRemove(postern)
  },
}

const olderPutBack: Kind = {
  name: 'older index restored',
  disturb: async ({ postern, holdUp, letGo }) => {
    if (Math.random() < 0.5) await holdUp()
    await moment(500)
    const copy = backUp(postern)
    await (Math.random() < 0.5 ? holdUp() : letGo())
    await moment(1_500)
    await killAndRemove(postern)
    await copyFile(copy, queueFile(postern))
  },
}

const logLost: Kind = {
  name: 'queue.db-wal lost',
  disturb: async ({ postern, holdUp }) => {
    await holdUp()
    await moment(1_500)
    await killAndRemove(postern, ['-wal', '-shm'])
  },
}

const killedRebuild: Kind = {
  name: 'kill -9 while the index is rebuilt',
  disturb: async ({ postern, holdUp }) => {
    await holdUp()
    await moment(1_500)
    await killAndRemove(postern)
    await until('the next Queue Manager runs', () => postern.pids('queue').length === 1, { withinMs: 60_000 })
    await moment(2_500)
    await postern.kill('queue')
  },
}

export const indexFiles = [lost, olderPutBack, killedRebuild, logLost]
