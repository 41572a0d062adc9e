import { z } from 'zod'
import { setting } from '../setting.ts'

export const dictionarySchema = z
  .strictObject({
    softErrorLimit: setting(z.number().int().min(0).max(1000).default(0), {
      title: 'Soft error limit',
      help: 'After this many errors in a session, each reply is delayed. Protocol errors, permanent refusals and failed logins count. 0: off.',
      exemptsWhiteListed: true,
    }),
    softErrorDelaySeconds: setting(z.number().int().min(0).max(60).default(0), {
      title: 'Soft error delay',
      help: 'How long each reply is delayed after the soft error limit.',
      unit: 'seconds',
      exemptsWhiteListed: true,
    }),
    hardErrorLimit: setting(z.number().int().min(0).max(1000).default(0), {
      title: 'Hard error limit',
      help: 'After this many errors in a session, the client gets 421 4.7.0 and the connection closes. Must not be below the soft error limit. 0: off.',
      exemptsWhiteListed: true,
    }),
    maxInvalidRecipients: setting(z.number().int().min(0).max(1000).default(0), {
      title: 'Unknown recipients',
      help: 'A client address that names this many unknown recipients within the window, counted over all workers, is blocked. Unknown users in VRFY count too. A single session that reaches the limit ends with 421 4.7.0. 0: off.',
      exemptsWhiteListed: true,
    }),
    windowMinutes: setting(z.number().int().min(0).max(1440).default(0), {
      title: 'Window',
      help: 'The period in which unknown recipients are counted. 0: within one session.',
      unit: 'minutes',
      exemptsWhiteListed: true,
    }),
    blockMinutes: setting(z.number().int().min(0).max(43_200).default(0), {
      title: 'Block for',
      help: 'How long an address stays blocked after the hard error limit or the limit of unknown recipients. The block is a Control Access entry. 0: do not block.',
      unit: 'minutes',
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
