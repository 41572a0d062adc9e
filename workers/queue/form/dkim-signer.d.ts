/** What of mailauth 7.1.0 is used, as far as its own types do not say it: the signer behind dkimSign. */

declare module 'mailauth/lib/dkim/dkim-signer.js' {
  import type { Writable } from 'node:stream'

  export type Signature = {
    signingDomain: string
    selector: string
    privateKey: string
    headerList: readonly string[]
  }
  type Line = { key: string | null; casedKey: string | undefined; line: Buffer }

  export class DkimSigner extends Writable {
    constructor(options: {
      canonicalization: 'relaxed/relaxed'
      signTime: Date
      strict: boolean
      signatureData: Signature[]
    })
    headers: { parsed: Line[]; original: Buffer } | undefined
    readonly signatureHeaders: string[]
    readonly errors: { signingDomain: string; selector: string; err: Error }[]
    getFieldNames(signature: Signature): string
  }
}
