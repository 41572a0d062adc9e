import { join } from 'node:path'
import { serversIn } from '@postern/contract/environment.ts'
import { Verifier } from '@postern/mailauth/verifier.ts'
import { hostsFrom } from '@postern/net/http/checked-hosts.ts'
import { getJson } from '@postern/net/http/get-json.ts'
import { Poster } from '@postern/net/http/post.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import { Callouts } from './callouts.ts'
import { Application } from './delivery-application.ts'
import { Dns } from './dns.ts'
import { Greylist } from './greylist.ts'
import { Rates } from './rates.ts'

/** Everything that answers a look-up: the DNS, other hosts, and what this worker remembers. */
export type LookupClients = {
  dns: Dns
  greylist: Greylist
  callouts: Callouts
  application: Application
  rates: Rates
  /** Runs SPF, DKIM and DMARC; without it their results are not known. */
  verifier?: Pick<Verifier, 'streamed' | 'close'>
  /** For the operator's log. */
  trouble?: (error: unknown) => void
}

/** The clients of a worker, what else fetches from the same hosts, and how to close them. */
export type OpenLookups = LookupClients & {
  /** GET a JSON document, with the host checks of the hooks. */
  fetchJson: (url: string) => Promise<unknown>
  close(): Promise<void>
}

/** `directory`: this worker's own, for the greylist. Throws an EnvironmentError. */
export async function openLookups(
  env: NodeJS.ProcessEnv,
  { directory, record, trouble }: { directory: string; record: RecordEvent; trouble: (error: unknown) => void },
): Promise<OpenLookups> {
  const hosts = hostsFrom(env)
  const servers = serversIn(env, 'POSTERN_DNS_SERVERS') ?? []
  const poster = new Poster(hosts)
  const verifier = new Verifier({ servers, threads: 2, maxWaiting: 500, timeouts: { message: 20_000, thread: 15_000 } })
  const greylist = await Greylist.open({ file: join(directory, 'greylist'), trouble })
  return {
    dns: new Dns({ servers }),
    greylist,
    callouts: new Callouts(hosts, record),
    application: new Application(poster, record),
    rates: new Rates(),
    verifier,
    trouble,
    fetchJson: (url) => getJson(url, hosts),
    async close() {
      poster.close()
      await greylist.close()
      await verifier.close()
    },
  }
}
