import { certificateInputSchema, certificateSourceSchema } from '@postern/contract/certificates.ts'
import { z } from 'zod'
import type { Words } from '../../form/EntryDialog.tsx'
import type { Values } from '../../form/values.ts'

/** The four ways to a certificate: what each asks, and the request it makes of the answers. */
export type Way = {
  label: string
  note: string
  schema: z.ZodType
  words: Words
  body: (value: Values) => Values
}

const { name, certificate, privateKey } = certificateInputSchema.shape
const nameWords: Words = { name: { help: 'A name of your own, to tell it from others.' } }

const pem: Words = {
  certificate: { help: 'PEM: the leaf first, then the intermediates. Its names and dates are read from it.' },
  privateKey: { help: 'PEM. Write-only: it is encrypted, and never shown again.' },
}

export const uploadSchema = z.strictObject({ certificate: certificate.unwrap(), privateKey: privateKey.unwrap() })
/** The answer to a request: its key is here already. */
export const signedSchema = z.strictObject({ certificate: certificate.unwrap() })
export const pemWords = pem

function made(type: 'self-signed' | 'csr' | 'acme', label: string, note: string): Way {
  const option = certificateSourceSchema.options.find(({ shape }) => shape.type.value === type)
  const { type: _, ...shape } = option?.shape ?? { type: undefined }
  return {
    label,
    note,
    schema: z.strictObject({ name, ...shape }),
    words: nameWords,
    body: ({ name, ...source }) => ({ name, source: { type, ...source } }),
  }
}

export const ways: readonly Way[] = [
  {
    label: 'Upload',
    note: 'A certificate that you have, with its key.',
    schema: z.strictObject({ name, ...uploadSchema.shape }),
    words: { ...nameWords, ...pem },
    body: (value) => value,
  },
  made('self-signed', 'Self-signed', 'Made here, for tests and for servers that you tell to trust it.'),
  made(
    'csr',
    'Signing request (CSR)',
    'The key is made here and stays here. Have the request signed by an authority, then upload its answer.',
  ),
  made(
    'acme',
    'ACME',
    'Ordered from an authority such as Let’s Encrypt and renewed by itself. The authority asks http://NAME/.well-known/acme-challenge/… on port 80 of each name: pass these requests on to this API.',
  ),
]
