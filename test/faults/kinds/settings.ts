import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '@postern/smtp/test/wire-client.ts'
import { until } from '../../peers/peer.ts'
import type { Postern } from '../../system/postern.ts'
import { copyDatabase } from '../copy-database.ts'
import type { Kind } from '../round.ts'

/** Copies the settings database now. @returns a function that restores the copy while the API is not running */
export async function copySettings({ dataDirectory }: Pick<Postern, 'dataDirectory'>): Promise<() => Promise<void>> {
  const file = join(dataDirectory, 'db', 'settings.db')
  const copy = join(dataDirectory, 'settings.copy')
  copyDatabase(file, copy)
  return async () => {
    for (const suffix of ['-wal', '-shm']) await rm(file + suffix, { force: true })
    copyDatabase(copy, file)
  }
}

/** The size limit in the console, and in the reply to a client. */
async function limits({ api, host, smtpPort }: Postern): Promise<{ shown: number; told: number }> {
  const { settings } = await api.get<{ settings: { maxMessageBytes: number } }>('/v1/settings/general')
  const client = await connect({ host, port: smtpPort })
  const told = Number((await client.hello()).get('SIZE'))
  await client.quit()
  return { shown: settings.maxMessageBytes, told }
}

const olderPutBack: Kind = {
  name: 'older settings restored',
  disturb: async ({ postern }) => {
    const change = (maxMessageBytes: number) => postern.api.patch('/v1/settings/general', { maxMessageBytes })
    await change(20_000_000)
    const putBack = await copySettings(postern)
    const changesAfter = Math.floor(Math.random() * 4)
    for (let i = 0; i < 2; i++) await change(30_000_000 + i)
    await sleep(Math.random() * 500)
    await postern.kill('api')
    await putBack()
    await postern.restart()
    // As many revisions as the workers have, fewer or more: the numbers alone would say nothing.
    for (let i = 0; i < changesAfter; i++) await change(40_000_000 + i)
    await until(
      'workers enforce the settings that the console shows',
      async () => {
        const { shown, told } = await limits(postern)
        return shown === told
      },
      { withinMs: 60_000, everyMs: 200 },
    )
  },
}

export const settingsFiles = [olderPutBack]
