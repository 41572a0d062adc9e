import { execFile } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryDirectory } from './peer.ts'

/** PEM texts of a self-signed ECDSA P-256 certificate and its key. */
export type Certificate = {
  cert: string
  key: string
}

/** A self-signed certificate for these names, valid for `days` from now. */
export async function selfSigned(names: string[], days = 30): Promise<Certificate> {
  const directory = await temporaryDirectory('certificate')
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const subject = [
    '-subj',
    `/CN=${names[0]}`,
    '-addext',
    `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`,
  ]
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', String(days)]
  try {
    await promisify(execFile)('openssl', ['req', ...kind, ...subject, '-keyout', key, '-out', cert])
    return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
