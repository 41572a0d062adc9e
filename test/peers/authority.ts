import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Certificate } from './certificate.ts'
import { temporaryDirectory } from './peer.ts'

/** A certificate authority for the tests. */
export type Authority = {
  /** Its certificate as a file, as POSTERN_CA_FILE takes it, and as text. */
  file: string
  cert: string
  /** A certificate for these names, with the authority's own behind it, and its key. */
  issue(names: string[]): Promise<Certificate>
  remove(): Promise<void>
}

const run = promisify(execFile)
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

export async function startAuthority(name = 'Test Authority'): Promise<Authority> {
  const directory = await temporaryDirectory('authority')
  const [key, file] = [join(directory, 'ca.key'), join(directory, 'ca.pem')]
  await run('openssl', ['req', '-x509', ...newKey, '-subj', `/CN=${name}`, '-days', '30', '-keyout', key, '-out', file])
  const cert = await readFile(file, 'utf8')
  let serial = 0
  return {
    file,
    cert,
    issue: async (names) => {
      const base = join(directory, `leaf-${++serial}`)
      const subject = ['-subj', `/CN=${names[0]}`]
      await run('openssl', ['req', ...newKey, ...subject, '-keyout', `${base}.key`, '-out', `${base}.csr`])
      await writeFile(`${base}.ext`, `subjectAltName=${names.map((each) => `DNS:${each}`).join(',')}\n`)
      const by = [
        '-CA',
        file,
        '-CAkey',
        key,
        '-set_serial',
        String(serial + 1),
        '-days',
        '20',
        '-extfile',
        `${base}.ext`,
      ]
      await run('openssl', ['x509', '-req', '-in', `${base}.csr`, ...by, '-out', `${base}.pem`])
      return { cert: (await readFile(`${base}.pem`, 'utf8')) + cert, key: await readFile(`${base}.key`, 'utf8') }
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}
