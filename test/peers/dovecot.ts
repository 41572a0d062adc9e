import { existsSync, readFileSync } from 'node:fs'
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, type Peer, startPeer, temporaryDirectory } from './peer.ts'
import { readMaildir } from './postfix.ts'

export type Dovecot = Peer & {
  /** Whole messages kept for this user, in the order of their file names. */
  mail(user: string): Promise<string[]>
}

const nobody = 65_534

/** Dovecot's LMTP server with only these users, each with a maildir. Needs root. */
export async function startDovecot({
  users,
  host = '127.0.0.1',
}: {
  users: string[]
  host?: string
}): Promise<Dovecot> {
  if (process.getuid?.() !== 0) throw new Error('Dovecot starts only as root here; run the system tests as root')
  const port = await freePort(host)
  const directory = await temporaryDirectory('dovecot')
  await chmod(directory, 0o755)
  await mkdir(join(directory, 'mail'))
  await chown(join(directory, 'mail'), nobody, nobody)
  const log = join(directory, 'dovecot.log')
  await writeFile(
    join(directory, 'users'),
    users.map((user) => `${user}:{PLAIN}secret:${nobody}:${nobody}::/\n`).join(''),
  )
  await writeFile(join(directory, 'dovecot.conf'), configuration({ directory, host, port, log }))
  const peer = await startPeer({
    name: 'dovecot',
    command: '/usr/sbin/dovecot',
    args: ['-F', '-c', join(directory, 'dovecot.conf')],
    host,
    port,
    directory,
    moreLogs: () => (existsSync(log) ? readFileSync(log, 'utf8') : ''),
  })
  return {
    ...peer,
    mail: (user) => {
      const [name, domain] = user.split('@') as [string, string]
      return readMaildir(join(directory, 'mail', domain, name))
    },
  }
}

function configuration({ directory, host, port, log }: { directory: string; host: string; port: number; log: string }) {
  return `
protocols = lmtp
listen = ${host}
base_dir = ${directory}/run
state_dir = ${directory}/state
log_path = ${log}
ssl = no
first_valid_uid = 1
last_valid_uid = ${nobody}
mail_location = maildir:${directory}/mail/%Ld/%Ln
lda_mailbox_autocreate = yes
hostname = dovecot.test
postmaster_address = postmaster@dovecot.test
passdb {
  driver = passwd-file
  args = username_format=%Lu ${directory}/users
}
userdb {
  driver = passwd-file
  args = username_format=%Lu ${directory}/users
}
service lmtp {
  inet_listener lmtp {
    address = ${host}
    port = ${port}
  }
}
service stats {
  client_limit = 100
}
`
}
