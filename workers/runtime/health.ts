import { createServer, type Server } from 'node:http'

/**
 * Serves `GET /healthz` for a container's health check or a balancer, which may restart this process. 200 means that
 * the process is alive and its event loop runs. The desired state of the service does not matter: a stopped receiver is
 * healthy, and a new process would also be stopped. The response shows only the service's state, because strangers on
 * the network may be able to reach it.
 */
export type HealthOptions = {
  /** Reads `POSTERN_HEALTH_PORT` (none: no health port) and `POSTERN_BIND` (127.0.0.1). */
  env: NodeJS.ProcessEnv
  observed: () => string
}

/** Throws an Error if the port is invalid or cannot be bound. */
export async function serveHealth({ env, observed }: HealthOptions): Promise<Server | undefined> {
  const text = env.POSTERN_HEALTH_PORT
  if (!text) return undefined
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new Error(`POSTERN_HEALTH_PORT is "${text}"; it must be a port, 0 to 65535`)
  const server = createServer({ requestTimeout: 5_000, maxHeaderSize: 4_096 }, (request, response) => {
    const known = request.url === '/healthz' && (request.method === 'GET' || request.method === 'HEAD')
    response.writeHead(known ? 200 : 404, { 'content-type': 'application/json', connection: 'close' })
    response.end(known ? JSON.stringify({ observed: observed() }) : '{}')
    request.resume()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, env.POSTERN_BIND ?? '127.0.0.1', resolve)
  })
  return server
}
