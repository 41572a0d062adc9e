import { z } from 'zod'
import { setting } from '../setting.ts'

export const harvestingSchema = z.strictObject({
  enabled: setting(z.boolean().default(true), {
    title: 'Account harvesting prevention',
    help: 'Blocks client addresses that fail to log in too often.',
    source: 'classic',
    exemptsWhiteListed: true,
  }),
  maxFailedLogins: setting(z.number().int().min(1).max(1000).default(5), {
    title: 'Failed logins',
    help: 'So many failed logins from one client address, counted over all workers, block it. Never blocked: White List, trusted balancers, addresses of console sessions.',
    source: 'classic',
    exemptsWhiteListed: true,
  }),
  withinMinutes: setting(z.number().int().min(1).max(1440).default(10), {
    title: 'Within',
    help: 'The sliding window in which failed logins are counted.',
    unit: 'minutes',
    source: 'classic',
    exemptsWhiteListed: true,
  }),
  blockMinutes: setting(z.number().int().min(1).max(43_200).default(30), {
    title: 'Block for',
    help: 'The address becomes a Control Access entry with this expiry, a reason and the evidence.',
    unit: 'minutes',
    source: 'classic',
    exemptsWhiteListed: true,
  }),
})
