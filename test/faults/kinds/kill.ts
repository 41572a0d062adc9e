import { setTimeout as sleep } from 'node:timers/promises'
import type { PosternProcess } from '../../system/postern.ts'
import type { Kind } from '../round.ts'

const loadAfterKillMs = 700

/** Of a worker: the API starts another. The API is started again, and takes its workers over. */
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
