import { writeResultSchema } from '@postern/contract/views.ts'
import { challengeAnswer } from '@postern/store/control/acme.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { notFound } from '../problem.ts'
import { renew } from '../verbs/certificates.ts'

/** Certificate routes besides those every kind of the directory has. */
export const certificateRoutes: Endpoint[] = [
  endpoint({
    method: 'post',
    path: '/v1/certificates/{id}/renew',
    alsoAnswers: { 409: 'Certificates from this source are renewed by uploading a new one.' },
    scope: 'admin',
    tag: 'Certificates',
    summary: 'Renew a certificate: make a new self-signed one, or place a new ACME order',
    params: z.object({ id: z.string().max(100) }),
    write: true,
    answer: writeResultSchema.extend({ id: z.string() }),
    handle: (call, { params }) => renew(call, params.id),
  }),
  endpoint({
    method: 'get',
    path: '/.well-known/acme-challenge/{token}',
    scope: 'public',
    tag: 'System',
    summary: 'Answer an HTTP-01 challenge (RFC 8555 §8.3) of an open order',
    params: z.object({ token: z.string().max(500) }),
    answer: 'application/octet-stream',
    handle: async ({ parts }, { params }) => {
      const answer = await challengeAnswer(parts.control, params.token, parts.now())
      if (answer === undefined) throw notFound('ACME challenge with this token')
      return new Response(answer, {
        headers: { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' },
      })
    },
  }),
]
