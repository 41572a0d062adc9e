import { z } from 'zod'
import { setting } from '../setting.ts'

export const harvestingSchema = z.strictObject({
  enabled: setting(z.boolean().default(true), {
    title: 'Account harvesting prevention',
    help: 'Blocks client addresses that fail to log in too often.',
    exemptsWhiteListed: true,
  }),
  maxFailedLogins: setting(z.number().int().min(1).max(1000).default(5), {
    title: 'Failed logins',
    help: 'An address with this many failed logins, counted over all workers, is blocked. Addresses in the White List, trusted load balancers and addresses used for the console are never blocked.',
    exemptsWhiteListed: true,
  }),
  withinMinutes: setting(z.number().int().min(1).max(1440).default(10), {
    title: 'Window',
    help: 'The sliding window in which failed logins are counted.',
    unit: 'minutes',
    exemptsWhiteListed: true,
  }),
  blockMinutes: setting(z.number().int().min(1).max(43_200).default(30), {
    title: 'Block for',
    help: 'How long the address stays blocked. The block is a Control Access entry with its reason and evidence.',
    unit: 'minutes',
    exemptsWhiteListed: true,
  }),
})
