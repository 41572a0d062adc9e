import { z } from 'zod'
import { setting } from '../setting.ts'

export const dictionarySchema = z
  .strictObject({
    softErrorLimit: setting(z.number().int().min(0).max(1000).default(0), {
      title: 'Soft error limit',
      help: 'Past this many errors in a session (protocol errors, permanent refusals, failed logins) each reply is delayed. 0: off.',
      source: 'classic',
      exemptsWhiteListed: true,
    }),
    softErrorDelaySeconds: setting(z.number().int().min(0).max(60).default(0), {
      title: 'Soft error delay',
      help: 'The delay of each reply past the soft limit.',
      unit: 'seconds',
      source: 'classic',
      exemptsWhiteListed: true,
    }),
    hardErrorLimit: setting(z.number().int().min(0).max(1000).default(0), {
      title: 'Hard error limit',
      help: 'After this many errors: 421 4.7.0 and the connection closes. 0: off. Not below the soft limit.',
      source: 'classic',
      exemptsWhiteListed: true,
    }),
    maxInvalidRecipients: setting(z.number().int().min(0).max(1000).default(0), {
      title: 'Unknown recipients',
      help: 'So many unknown recipients (also those that VRFY names) from one client address within the window, over all workers, block it where the time to block is not 0; a session that has so many by itself ends with 421 4.7.0. 0: off.',
      source: 'classic',
      exemptsWhiteListed: true,
    }),
    windowMinutes: setting(z.number().int().min(0).max(1440).default(0), {
      title: 'Window',
      help: 'The window for unknown recipients. 0: within one session.',
      unit: 'minutes',
      source: 'classic',
      exemptsWhiteListed: true,
    }),
    blockMinutes: setting(z.number().int().min(0).max(43_200).default(0), {
      title: 'Block for',
      help: 'After the hard error limit or the limit of unknown recipients is hit the address becomes a Control Access entry. 0: do not block.',
      unit: 'minutes',
      source: 'classic',
      exemptsWhiteListed: true,
    }),
  })
  .superRefine((dictionary, context) => {
    if (dictionary.hardErrorLimit > 0 && dictionary.hardErrorLimit < dictionary.softErrorLimit)
      context.addIssue({
        code: 'custom',
        path: ['hardErrorLimit'],
        message: `hardErrorLimit is ${dictionary.hardErrorLimit} but must be 0 or not below softErrorLimit, which is ${dictionary.softErrorLimit}`,
      })
  })
