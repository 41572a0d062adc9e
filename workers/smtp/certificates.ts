import { createSecureContext, type SecureContext } from 'node:tls'
import type { Certificate } from '@postern/contract/directory.ts'

type Loaded = { names: string[]; context: SecureContext }

/**
 * The TLS contexts of the certificate rows, chosen by the name the client asks for (RFC 6066 §3). A context is made anew only
 * when its certificate changed; handshakes that were made stay as they are.
 */
export class Certificates {
  #loaded = new Map<string, Loaded>()
  #exact = new Map<string, SecureContext>()
  #wildcard = new Map<string, SecureContext>()
  #fallback: SecureContext | undefined

  get available(): boolean {
    return this.#fallback !== undefined
  }

  /** For a name nobody asked for, or that no certificate has, the one for the server's own name, else the first. */
  contextFor(name: string): SecureContext | undefined {
    const asked = name.toLowerCase()
    return this.#exact.get(asked) ?? this.#wildcard.get(asked.slice(asked.indexOf('.') + 1)) ?? this.#fallback
  }

  /**
   * Takes the rows as they are now. Throws an Error that names the certificate when one cannot be used; then nothing changed.
   */
  load(
    rows: ReadonlyMap<string, Certificate>,
    { hostname, minVersion }: { hostname: string; minVersion: '1.2' | '1.3' },
  ): void {
    const loaded = new Map<string, Loaded>()
    const order = [...rows].sort(([a], [b]) => (a < b ? -1 : 1))
    for (const [, row] of order) {
      const key = `${minVersion} ${row.fingerprint} ${row.certificate.length}`
      loaded.set(key, this.#loaded.get(key) ?? { names: row.names, context: contextOf(row, minVersion) })
    }
    this.#loaded = loaded
    this.#index(hostname.toLowerCase())
  }

  #index(hostname: string): void {
    this.#exact = new Map()
    this.#wildcard = new Map()
    this.#fallback = undefined
    for (const { names, context } of this.#loaded.values()) {
      this.#fallback ??= context
      for (const name of names.map((one) => one.toLowerCase())) {
        if (name.startsWith('*.')) this.#wildcard.set(name.slice(2), context)
        else this.#exact.set(name, context)
      }
    }
    if (this.#fallback) this.#fallback = this.contextFor(hostname) ?? this.#fallback
  }
}

function contextOf({ name, certificate, privateKey }: Certificate, minVersion: '1.2' | '1.3'): SecureContext {
  try {
    return createSecureContext({
      cert: certificate,
      key: privateKey,
      minVersion: minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
      honorCipherOrder: true,
      sessionIdContext: 'postern',
    })
  } catch (error) {
    throw new Error(`certificate "${name}" cannot be used: ${error instanceof Error ? error.message : String(error)}`)
  }
}
