import { createServer, type Server } from 'node:http'

/**
 * `GET /healthz` for whoever may start this process anew: a container's health check, a balancer. 200 means that the process
 * lives and its event loop turns, whatever an administrator wants of the service: a stopped receiver is healthy, and a new
 * process would be as stopped. Says nothing but the service's state, since it may listen where strangers of the network reach it.
 */
export type HealthOptions = {
  /** `POSTERN_HEALTH_PORT` (none: no health port) and `POSTERN_BIND` (127.0.0.1). */
  env: NodeJS.ProcessEnv
  observed: () => string
}

/** Throws an Error when the port is not one or cannot be bound. */
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
