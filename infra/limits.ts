import { defaultSettings } from '@postern/contract/settings.ts'
import type { Stack } from 'aws-cdk-lib'

/** Values that two parts must agree on. Durations are in seconds. */

/** How long a stopped worker lets open transactions finish, unless an administrator changes it. */
export const drainTimeoutSeconds = defaultSettings().advanced.drainTimeoutSeconds
/** The time from SIGTERM to SIGKILL: the drain, then the last events and the report. Fargate allows at most 120. */
export const stopTimeoutSeconds = drainTimeoutSeconds + 30

/** Ports on which the workers listen in their containers. They are unprivileged, so no capability is needed. */
export const workerPorts = { smtp: 2525, submission: 2587, smtps: 2465, smtpHealth: 9101, queueHealth: 9102 } as const

/** Public ports, and the worker port that each one forwards to. */
export const publicPorts = [
  { name: 'Smtp', port: 25, target: workerPorts.smtp },
  { name: 'Smtps', port: 465, target: workerPorts.smtps },
  { name: 'Submission', port: 587, target: workerPorts.submission },
] as const

/** Each worker makes its own queue `postern-<workerId>`. No policy allows queues outside this prefix. */
export const queuePrefix = 'postern-'
export const queues = (stack: Stack) => stack.formatArn({ service: 'sqs', resource: `${queuePrefix}*` })

/** Names of the two workers, which are also their ids. */
export const workerNames = { smtp: 'smtp-1', queue: 'queue-1' } as const

/** The user and group `node` of the official image. It owns everything on the volume. */
export const nodeUser = '1000'
