import { constants } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import {
  type Certificate,
  type ShownCertificates,
  shownCertificates,
  shownFor,
} from '@postern/contract/certificates.ts'

type Loaded = { key: string; context: SecureContext }

/**
 * The TLS contexts of the certificate rows, chosen by the name the client asks for (RFC 6066 §3). A context is made again only
 * when its certificate has changed; established sessions keep theirs.
 */
export class Certificates {
  #loaded = new Map<string, Loaded>()
  #shown: ShownCertificates = { byName: new Map(), fallback: undefined }

  get available(): boolean {
    return this.#shown.fallback !== undefined
  }

  /** The default for an empty name, and for one that no certificate has. */
  contextFor(name: string): SecureContext | undefined {
    const id = shownFor(this.#shown, name)
    return id === undefined ? undefined : this.#loaded.get(id)?.context
  }

  /**
   * Loads the rows. Throws an Error that names the certificate that cannot be used; then nothing has changed.
   */
  load(
    rows: ReadonlyMap<string, Certificate>,
    { hostname, minVersion }: { hostname: string; minVersion: '1.2' | '1.3' },
  ): void {
    const loaded = new Map<string, Loaded>()
    for (const [id, row] of rows) {
      const { certificate, privateKey } = row
      if (!certificate || !privateKey) continue
      const key = `${minVersion} ${row.fingerprint} ${certificate.length}`
      const before = this.#loaded.get(id)
      loaded.set(id, before?.key === key ? before : { key, context: contextOf(row, minVersion) })
    }
    this.#loaded = loaded
    this.#shown = shownCertificates(rows, hostname)
  }
}

function contextOf({ name, certificate, privateKey }: Certificate, minVersion: '1.2' | '1.3'): SecureContext {
  try {
    return createSecureContext({
      cert: certificate,
      key: privateKey,
      minVersion: minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
      ciphers,
      honorCipherOrder: true,
      // Renegotiation costs us work, and no client needs it.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      sessionIdContext: 'postern',
    })
  } catch (error) {
    throw new Error(`certificate "${name}" cannot be used: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/**
 * Forward secrecy and authenticated encryption, and for old mail servers CBC with SHA-2 after those. No RC4, 3DES, export,
 * anonymous or null cipher, and no key exchange without forward secrecy (RFC 9325 §4.2).
 */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-SHA256',
  'ECDHE-RSA-AES128-SHA256',
  'ECDHE-ECDSA-AES256-SHA384',
  'ECDHE-RSA-AES256-SHA384',
].join(':')
