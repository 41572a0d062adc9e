import { roleNames } from '@postern/contract/roles.ts'
import { serviceNames } from '@postern/contract/services.ts'

/** Two kinds: what programs use at the API, and what a new worker enrols with. */
export const tokenKinds = {
  api: {
    title: 'API tokens',
    path: '/v1/tokens',
    choice: 'role',
    options: roleNames,
    help: 'For scripts and pipelines: send it as a bearer token.',
  },
  enrol: {
    title: 'Enrolment tokens',
    path: '/v1/enrol-tokens',
    choice: 'service',
    options: serviceNames,
    help: 'For one worker: set it as POSTERN_ENROL_TOKEN, and its name as POSTERN_WORKER_NAME.',
  },
} as const
export type TokenKind = keyof typeof tokenKinds
