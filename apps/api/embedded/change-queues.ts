import { readFileSync, writeFileSync } from 'node:fs'
import { buildApp } from 'fauxqs'

/** The SQS protocol on loopback, in memory: what a worker's AWS SDK talks to on one machine. */
export type ChangeQueues = { endpoint: string; close(): Promise<void> }

/** Takes the port of last time when it is free: workers that outlived the API find it again. */
export async function startChangeQueues(portFile: string): Promise<ChangeQueues> {
  const listen = async (port: number) => {
    const app = buildApp({ logger: false })
    await app.listen({ host: '127.0.0.1', port })
    return app
  }
  const app = await listen(lastPort(portFile)).catch(() => listen(0))
  const address = app.server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  rememberPort(portFile, port)
  return {
    endpoint: `http://127.0.0.1:${port}`,
    close: async () => {
      app.server.closeAllConnections()
      await app.close()
    },
  }
}

/** Without it workers are told another port when they are started: a full disk is no reason not to start. */
function rememberPort(file: string, port: number): void {
  try {
    writeFileSync(file, `${port}\n`)
  } catch (error) {
    console.error(`cannot write ${file}: ${(error as Error).message}`)
  }
}

function lastPort(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8')) || 0
  } catch {
    return 0
  }
}
