import { setTimeout as sleep } from 'node:timers/promises'
import type { PosternProcess } from '../../system/postern.ts'
import type { Kind } from '../round.ts'

const loadAfterKillMs = 700

/** Kills a worker, which the API restarts, or the API, which is restarted and takes over its workers. */
function kill(victim: PosternProcess): Kind {
  return {
    name: `kill -9 ${victim}`,
    disturb: async ({ postern }) => {
      await postern.kill(victim)
      await sleep(loadAfterKillMs)
      if (victim === 'api') await postern.restart()
    },
  }
}

export const kills = [kill('smtp'), kill('queue'), kill('api')]
