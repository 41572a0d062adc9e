import { roleNames } from '@postern/contract/roles.ts'
import { serviceNames } from '@postern/contract/services.ts'

/** The two kinds of tokens: for programs that use the API, and for the enrolment of a new worker. */
export const tokenKinds = {
  api: {
    title: 'API tokens',
    path: '/v1/tokens',
    choice: 'role',
    options: roleNames,
    help: 'For scripts and pipelines. Send it as a bearer token.',
  },
  enrol: {
    title: 'Enrolment tokens',
    path: '/v1/enrol-tokens',
    choice: 'service',
    options: serviceNames,
    help: 'For one worker. Set POSTERN_ENROL_TOKEN to the token and POSTERN_WORKER_NAME to its name.',
  },
} as const
export type TokenKind = keyof typeof tokenKinds
