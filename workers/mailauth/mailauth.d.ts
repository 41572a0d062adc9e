/** Types of mailauth 7.1.0 that its own declarations lack: the verifier behind dkimVerify, and the key reader. */

declare module 'mailauth/lib/dkim/dkim-verifier.js' {
  export type HeaderLine = { key: string | null; casedKey: string | undefined; line: Buffer }
  export type ParsedHeader = { parsed: HeaderLine[]; original: Buffer }

  export type BodyHash = { mimeStructureStartFinder: { update(chunk: Buffer): void; getMimeStructureStart(): number } }

  export type SignatureHeader = {
    type: 'DKIM' | 'ARC'
    parsed?: { h?: { value?: unknown } }
    /** The signature is reported as neutral for this reason, and its key is not looked up. */
    invalid?: string
    skip?: string
    warnings: string[]
    signingDomain: string
    selector: string
  }

  export type SignatureResult = {
    id?: string
    signingDomain?: string
    selector?: string
    modulusLength?: number
    status: {
      result: string
      comment?: string
      underSized?: number
      testing?: boolean
      policy?: Record<string, string>
    }
  }

  export type PublicKey = { publicKey: unknown; rr?: string; modulusLength?: number }

  export class DkimVerifier {
    constructor(options: { resolver: unknown; strict: boolean; minBitLength: number; curTime?: Date })
    results: SignatureResult[]
    headerFrom: string[]
    fromFields: number
    signatureHeaders: SignatureHeader[]
    bodyHashes: Map<string, BodyHash>
    keyCache: { get(type: string, name: string, minBitLength: number, options?: object): Promise<PublicKey> }
    messageHeaders(header: ParsedHeader): Promise<void>
    prepareSignature(signature: SignatureHeader): void
    nextChunk(chunk: Buffer): Promise<void>
    finalChunk(): Promise<void>
  }
}

declare module 'mailauth/lib/tools.js' {
  import type { PublicKey } from 'mailauth/lib/dkim/dkim-verifier.js'
  export function getPublicKey(
    type: string,
    name: string,
    minBitLength: number,
    resolver: unknown,
    options?: object,
  ): Promise<PublicKey>
}
