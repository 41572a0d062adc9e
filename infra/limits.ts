import { defaultSettings } from '@postern/contract/settings.ts'
import type { Stack } from 'aws-cdk-lib'

/** Numbers and names that two parts must agree on. Durations in seconds. */

/** How long a stopped worker lets open transactions finish, unless an administrator changes it. */
export const drainTimeoutSeconds = defaultSettings().advanced.drainTimeoutSeconds
/** SIGTERM to SIGKILL: the drain, then the last events and the report. Fargate allows at most 120. */
export const stopTimeoutSeconds = drainTimeoutSeconds + 30

/** Where the workers listen in their containers; unprivileged, so that no capability is needed. */
export const workerPorts = { smtp: 2525, submission: 2587, smtps: 2465, smtpHealth: 9101, queueHealth: 9102 } as const

/** What the world connects to, and which worker port answers. */
export const publicPorts = [
  { name: 'Smtp', port: 25, target: workerPorts.smtp },
  { name: 'Smtps', port: 465, target: workerPorts.smtps },
  { name: 'Submission', port: 587, target: workerPorts.submission },
] as const

/** Every worker makes its own queue `postern-<workerId>`; no policy reaches past this prefix. */
export const queuePrefix = 'postern-'
export const queues = (stack: Stack) => stack.formatArn({ service: 'sqs', resource: `${queuePrefix}*` })

/** Names of the two workers, which are their ids. */
export const workerNames = { smtp: 'smtp-1', queue: 'queue-1' } as const

/** User and group `node` of the official image; owner of everything on the volume. */
export const nodeUser = '1000'
