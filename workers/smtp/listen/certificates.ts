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
 * The TLS contexts of the certificate rows, chosen by the name the client asks for (RFC 6066 §3). A context is made anew only
 * when its certificate changed; handshakes that were made stay as they are.
 */
export class Certificates {
  #loaded = new Map<string, Loaded>()
  #shown: ShownCertificates = { byName: new Map(), fallback: undefined }

  get available(): boolean {
    return this.#shown.fallback !== undefined
  }

  /** For a name nobody asked for, or that no certificate has, the default. */
  contextFor(name: string): SecureContext | undefined {
    const id = shownFor(this.#shown, name)
    return id === undefined ? undefined : this.#loaded.get(id)?.context
  }

  /**
   * Takes the rows as they are now. Throws an Error that names the certificate when one cannot be used; then nothing changed.
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
      // A client that asks for another handshake makes us work, and gets nothing it needs.
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
