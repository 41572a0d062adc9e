import { certificateInputSchema, certificateSourceSchema } from '@postern/contract/certificates.ts'
import { z } from 'zod'
import type { FieldTexts } from '../../form/EntryDialog.tsx'
import type { Values } from '../../form/values.ts'

/** The four sources of a certificate: the input that each needs, and the request it sends. */
export type SourceForm = {
  label: string
  note: string
  schema: z.ZodType
  words: FieldTexts
  body: (value: Values) => Values
}

const { name, certificate, privateKey } = certificateInputSchema.shape
const nameWords: FieldTexts = { name: { help: 'A name to recognise it by.' } }

const pem: FieldTexts = {
  certificate: { help: 'PEM: the leaf first, then the intermediates. Names and dates are read from it.' },
  privateKey: { help: 'PEM. It is encrypted and never shown again.' },
}

export const uploadSchema = z.strictObject({ certificate: certificate.unwrap(), privateKey: privateKey.unwrap() })
/** The certificate issued for a request whose key the server already has. */
export const signedSchema = z.strictObject({ certificate: certificate.unwrap() })
export const pemWords = pem

function made(type: 'self-signed' | 'csr' | 'acme', label: string, note: string): SourceForm {
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

export const sourceForms: readonly SourceForm[] = [
  {
    label: 'Upload',
    note: 'Use a certificate and key that you already have.',
    schema: z.strictObject({ name, ...uploadSchema.shape }),
    words: { ...nameWords, ...pem },
    body: (value) => value,
  },
  made('self-signed', 'Self-signed', 'Create one here, for tests or for clients that you configure to trust it.'),
  made(
    'csr',
    'Signing request (CSR)',
    'Create a key and a signing request here. Have an authority sign the request, then upload the certificate.',
  ),
  made(
    'acme',
    'ACME',
    'Order a certificate from an authority such as Let’s Encrypt, and renew it automatically. The authority requests http://NAME/.well-known/acme-challenge/… on port 80 of each name. Forward these requests to this API.',
  ),
]
