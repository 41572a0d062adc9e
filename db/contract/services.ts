import { z } from 'zod'

/** The two services of the administration pages. */
export const serviceNames = ['smtp', 'queue'] as const
export type ServiceName = (typeof serviceNames)[number]
export const serviceNameSchema = z.enum(serviceNames)

export const services: Record<ServiceName, { title: string; help: string }> = {
  smtp: {
    title: 'SMTP service',
    help: 'Receives mail. While it is stopped, clients cannot connect, and the queue is still delivered.',
  },
  queue: {
    title: 'Queue Manager',
    help: 'Delivers mail. While it is stopped, mail is still accepted and waits in the spool.',
  },
}

/**
 * The desired state of a service, as a row. A restart increases the generation: workers with an older generation reopen
 * their listeners.
 */
export const desiredServiceSchema = z.object({
  desired: z.enum(['running', 'stopped']),
  generation: z.number().int().nonnegative(),
})
export type DesiredService = z.infer<typeof desiredServiceSchema>

export const observedStates = ['running', 'stopped', 'starting', 'stopping', 'degraded'] as const
export type ObservedState = (typeof observedStates)[number]
export const observedStateSchema = z.enum(observedStates)
