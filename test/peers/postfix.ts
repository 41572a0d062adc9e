import { existsSync, readFileSync } from 'node:fs'
import { chmod, chown, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Certificate } from './certificate.ts'
import { freePort, type Peer, startPeer, temporaryDirectory } from './peer.ts'

/** What this Postfix does with accepted mail. */
export type PostfixDelivery =
  /** Keeps each message as a file, by recipient. */
  | { to: 'maildir' }
  /** Discards it after it has passed the queue like any other. */
  | { to: 'discard' }
  /** Leaves it in the hold queue. */
  | { to: 'hold' }
  | { to: 'relay'; host: string; port: number }

export type PostfixOptions = {
  deliver: PostfixDelivery
  /** A loopback address; 127.0.0.1 without it. */
  host?: string
  /** Default: a free port. */
  port?: number
  hostname?: string
  /** Domains it answers for; any other is taken too, because the client is on loopback. Needed for `maildir`. */
  domains?: string[]
  /** Offers STARTTLS with this certificate. */
  certificate?: Certificate
  /** Recipient → reply, e.g. `{'nobody@a.test': '550 5.1.1 no such user'}`. */
  reject?: Record<string, string>
  /** More lines for main.cf, which override the others. */
  settings?: Record<string, string>
  /** false: nothing is logged, as on a machine whose syslog costs nothing. */
  log?: boolean
}

export type Postfix = Peer & {
  /** Whole messages kept for this recipient, in the order of their file names. Only with `deliver: maildir`. */
  mail(recipient: string): Promise<string[]>
  /** How many messages are in its queue, in whatever state. */
  queued(): Promise<number>
}

const nobody = 65_534
const queues = ['maildrop', 'incoming', 'active', 'deferred', 'hold']

/** Debian's services, none of them in a chroot: the queue lives in a temporary directory. */
const services = (listen: string) => `
${listen} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

/**
 * A private Postfix with its own configuration, queue and data directories. All Debian defaults that matter for speed
 * and durability are unchanged (it syncs each message before 250). Needs root, like any Postfix.
 */
export async function startPostfix(options: PostfixOptions): Promise<Postfix> {
  if (process.getuid?.() !== 0) throw new Error('Postfix starts only as root; run the system tests as root')
  const host = options.host ?? '127.0.0.1'
  const port = options.port ?? (await freePort(host))
  const directory = await temporaryDirectory('postfix')
  await chmod(directory, 0o755)
  for (const name of ['etc', 'queue', 'data', 'mail']) await mkdir(join(directory, name), { mode: 0o755 })
  const postfixUser = await userId('postfix')
  await chown(join(directory, 'data'), postfixUser, -1)
  await chown(join(directory, 'mail'), nobody, nobody)
  const log = join(directory, 'mail.log')
  const main = {
    ...mainSettings(options, host, directory),
    ...(await tlsSettings(options, directory)),
    ...options.settings,
  }
  const lines = Object.entries(main).map(([key, value]) => `${key} = ${value}\n`)
  await writeSettled(join(directory, 'etc/main.cf'), lines.join(''))
  await writeSettled(join(directory, 'etc/master.cf'), services(`${host}:${port}`))
  await makeQueue(join(directory, 'queue'), postfixUser)

  const peer = await startPeer({
    name: 'postfix',
    command: '/usr/lib/postfix/sbin/master',
    args: ['-c', join(directory, 'etc'), '-s'],
    host,
    port,
    directory,
    moreLogs: () => (existsSync(log) ? readFileSync(log, 'utf8') : ''),
  })
  return {
    ...peer,
    mail: async (recipient) => {
      const all = await readMaildir(join(directory, 'mail/all'))
      return all.filter((text) => new RegExp(`^Delivered-To: ${recipient}$`, 'm').test(text))
    },
    queued: async () => {
      const counts = await Promise.all(queues.map((name) => countFiles(join(directory, 'queue', name))))
      return counts.reduce((sum, count) => sum + count, 0)
    },
  }
}

/** Backdates a file, because each Postfix process waits until its configuration has not changed for two seconds. */
async function writeSettled(path: string, text: string): Promise<void> {
  await writeFile(path, text)
  const before = new Date(Date.now() - 60_000)
  await utimes(path, before, before)
}

/** Creates what `postfix check` would create. */
async function makeQueue(queue: string, owner: number): Promise<void> {
  await mkdir(join(queue, 'pid'))
  const own = [
    'active',
    'bounce',
    'corrupt',
    'defer',
    'deferred',
    'flush',
    'hold',
    'incoming',
    'private',
    'saved',
    'trace',
  ]
  for (const name of [...own, 'maildrop', 'public']) {
    await mkdir(join(queue, name), { mode: 0o700 })
    await chown(join(queue, name), owner, -1)
  }
}

function mainSettings(options: PostfixOptions, host: string, directory: string): Record<string, string> {
  const rejected = Object.entries(options.reject ?? {}).map(([address, reply]) => `{ ${address} = ${reply} }`)
  const refuse = rejected.length > 0 ? `check_recipient_access inline:{ ${rejected.join(', ')} }, ` : ''
  const hold = options.deliver.to === 'hold' ? 'check_client_access static:HOLD, ' : ''
  return {
    compatibility_level: '3.6',
    queue_directory: join(directory, 'queue'),
    data_directory: join(directory, 'data'),
    myhostname: options.hostname ?? 'postfix.test',
    mydestination: '',
    // What it listens on stands in master.cf; a name here must be an interface's first address, which 127.0.0.2 is not.
    inet_interfaces: 'loopback-only',
    inet_protocols: host.includes(':') ? 'ipv6' : 'ipv4',
    mynetworks: '127.0.0.0/8 [::1]/128',
    smtpd_recipient_restrictions: `${refuse}${hold}permit_mynetworks, reject_unauth_destination`,
    // Names in tests are not real, and a look-up outside would hang.
    smtpd_peername_lookup: 'no',
    alias_maps: '',
    notify_classes: '',
    ...(options.log === false ? {} : { maillog_file: join(directory, 'mail.log'), maillog_file_prefixes: directory }),
    ...deliverySettings(options, directory),
  }
}

function deliverySettings({ deliver, domains = [] }: PostfixOptions, directory: string): Record<string, string> {
  switch (deliver.to) {
    case 'maildir':
      return {
        virtual_mailbox_domains: domains.join(', '),
        virtual_mailbox_base: join(directory, 'mail'),
        // One maildir for all: virtual(8) refuses patterns, and the header it writes tells whose it is.
        virtual_mailbox_maps: 'static:all/',
        virtual_uid_maps: `static:${nobody}`,
        virtual_gid_maps: `static:${nobody}`,
      }
    case 'relay':
      return { relayhost: `[${deliver.host}]:${deliver.port}`, relay_domains: domains.join(', ') }
    case 'discard':
    case 'hold':
      return { default_transport: 'discard:', relay_transport: 'discard:', relay_domains: domains.join(', ') }
  }
}

async function tlsSettings({ certificate }: PostfixOptions, directory: string): Promise<Record<string, string>> {
  if (!certificate) return {}
  const chain = join(directory, 'etc/chain.pem')
  await writeFile(chain, certificate.key + certificate.cert, { mode: 0o600 })
  return { smtpd_tls_chain_files: chain, smtpd_tls_security_level: 'may', smtpd_tls_received_header: 'yes' }
}

async function userId(name: string): Promise<number> {
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((entry) => entry.startsWith(`${name}:`))
  if (!line) throw new Error(`no user ${name} on this machine: run test/peers/install.sh`)
  return Number(line.split(':')[2])
}

/** Returns the new messages of a maildir in the order of their names, or none if it does not exist yet. */
export async function readMaildir(directory: string): Promise<string[]> {
  const inbox = join(directory, 'new')
  if (!existsSync(inbox)) return []
  const names = (await readdir(inbox)).sort()
  return Promise.all(names.map((name) => readFile(join(inbox, name), 'utf8')))
}

async function countFiles(directory: string): Promise<number> {
  if (!existsSync(directory)) return 0
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => [])
  return entries.filter((entry) => entry.isFile()).length
}
