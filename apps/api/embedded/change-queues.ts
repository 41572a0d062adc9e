import { readFileSync, writeFileSync } from 'node:fs'
import { buildApp } from 'fauxqs'

/** An in-memory SQS server on loopback, for the workers' AWS SDK on a single machine. */
export type ChangeQueues = { endpoint: string; close(): Promise<void> }

/** Uses the previous port if it is free, so that workers that outlived the API can reconnect. */
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

/**
 * Remembers the port. A full disk must not prevent the start; without the file, workers get the new port when they
 * start.
 */
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
