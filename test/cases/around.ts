import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ApplicationQuestion } from '@postern/contract/delivery-application.ts'
import type { Lookups } from '@postern/contract/lookups.ts'
import { SMTPServer } from 'smtp-server'
import { type Dns, startDns } from '../peers/dns.ts'
import type { Case } from './case.ts'
import { asked, type World } from './world.ts'
import { zoneOf } from './zone.ts'

/**
 * The servers that a live worker asks: a DNS server, the host of a route, a delivery application. All are real servers,
 * and each answers as `facts.lookups` of the case says.
 */
export type Around = {
  readonly dns: Dns
  /** The same world, with the ports of this run in place of `asked`. */
  staged(world: World): World
  stop(): Promise<void>
}

export async function startAround(cases: readonly Case[]): Promise<Around> {
  const dns = await startDns(zoneOf(cases))
  const host = routedHost(cases)
  await once(host.listen(0, asked), 'listening')
  const application = deliveryApplication(cases)
  await once(application.listen(0, asked), 'listening')
  const ports = { host: portOf(host.server), application: portOf(application) }
  return {
    dns,
    staged: (world) => staged(world, ports),
    stop: async () => {
      application.closeAllConnections()
      application.close()
      await new Promise<void>((done) => host.close(() => done()))
      await dns.stop()
    },
  }
}

const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port

/** Speaks LMTP. Its reply to a recipient is the one in the case with that recipient. */
function routedHost(cases: readonly Case[]): SMTPServer {
  const said = new Map<string, Lookups['callout']>()
  for (const { facts, dialogue } of cases)
    for (const [, recipient = ''] of facts.lookups?.callout
      ? dialogue.map(([says]) => /^RCPT TO:<(.*)>/.exec(says) ?? [])
      : [])
      if (recipient) said.set(recipient, facts.lookups?.callout)
  const refusals = { unknown: 550, 'not-known': 451 } as const
  const server = new SMTPServer({
    lmtp: true,
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    onRcptTo: ({ address }, _session, done) => {
      const answer = said.get(address) ?? 'unknown'
      if (answer === 'exists') done()
      else done(Object.assign(new Error('as its case says'), { responseCode: refusals[answer] }))
    },
    onData: (stream, _session, done) => stream.on('end', () => done(null, 'taken')).resume(),
  })
  return server.on('error', () => {})
}

/** Its answer is the one in the case with the client's address. */
function deliveryApplication(cases: readonly Case[]): Server {
  const said = new Map(cases.map(({ ip, facts }) => [ip, facts.lookups?.application]))
  return createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray())
    const type = String(request.headers['content-type'])
    const form = await new Response(body, { headers: { 'content-type': type } }).formData()
    const { client } = JSON.parse(String(form.get('envelope'))) as ApplicationQuestion
    const answer = said.get(client.ip) ?? 'not-known'
    response.writeHead(answer === 'not-known' ? 503 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer))
  })
}

type Routed = {
  route?: { host?: string }
}
type WithApplication = {
  deliveryApplication?: 'off' | { url: string }
}

function staged(world: World, ports: { host: number; application: number }): World {
  const domains = world.domains.map((domain) => {
    const { route } = domain as Routed
    return route?.host === asked ? { ...domain, route: { ...route, port: ports.host } } : domain
  })
  const { deliveryApplication } = world.settings.advanced as WithApplication
  if (deliveryApplication === undefined || deliveryApplication === 'off') return { ...world, domains }
  const url = Object.assign(new URL(deliveryApplication.url), { port: ports.application }).href
  const advanced = { ...world.settings.advanced, deliveryApplication: { ...deliveryApplication, url } }
  return { ...world, domains, settings: { ...world.settings, advanced } }
}
