import { describe, expect, it } from 'vitest'
import { type WaitingCause, waitingCauseNames, waitingCauseOf, waitingCauses } from './waiting-causes.ts'

/** As large providers and common servers write them. */
const replies: [WaitingCause, string][] = [
  [
    'greylisted',
    '450 4.2.0 <bob@example.net>: Recipient address rejected: Greylisted, see http://postgrey.example/help',
  ],
  ['greylisted', '451 4.7.1 Greylisting in action, please come back later'],
  ['greylisted', '451 4.7.1 Please try again later'],
  ['greylisted', '450 4.7.1 <mx.example.org[192.0.2.1]>: Client host rejected: Gray-listed, try again in 300 seconds'],
  ['greylisted', '451 Temporarily rejected. Try again later.'],
  ['mailbox-full', '452 4.2.2 The email account that you tried to reach is over quota.'],
  [
    'mailbox-full',
    "452-4.2.2 The recipient's inbox is out of storage space. 452 4.2.2 https://support.google.com/mail/?p=OverQuotaTemp",
  ],
  ['mailbox-full', '422 4.2.2 <bob@example.net>: user is overquota'],
  ['mailbox-full', '452 <bob@example.net> Mailbox full'],
  ['mailbox-full', '451 Requested action aborted: mailbox quota exceeded'],
  ['mailbox-full', '451 4.3.0 Disk quota exceeded'],
  [
    'reputation',
    '421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes',
  ],
  [
    'reputation',
    '421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed.',
  ],
  [
    'reputation',
    '421-4.7.28 [192.0.2.1 15] Our system has detected an unusual rate of 421-4.7.28 unsolicited mail originating from your IP address.',
  ],
  [
    'reputation',
    '421-4.7.0 [192.0.2.1 19] Our system has detected that this message is suspicious due to the very low reputation of the sending IP address.',
  ],
  [
    'reputation',
    '451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. For e-mail delivery information, see https://postmaster.live.com (S775)',
  ],
  [
    'reputation',
    "450 4.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150).",
  ],
  [
    'reputation',
    '450 4.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1',
  ],
  ['reputation', '450 Your IP 192.0.2.1 is in our blacklist'],
  [
    'unauthenticated',
    '421-4.7.26 Your email has been rate limited because it is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM.',
  ],
  [
    'unauthenticated',
    "421-4.7.32 Your email has been rate limited because the From: header (RFC5322) in this message isn't aligned with either the authenticated SPF or DKIM organizational domain.",
  ],
  ['unauthenticated', '451 4.7.24 The SPF record of the sending domain has one or more suspicious entries'],
  [
    'reverse-dns',
    '421-4.7.23 The IP address sending this message does not have a PTR record, or the corresponding forward DNS entry does not match the sending IP.',
  ],
  ['reverse-dns', '450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]'],
  ['reverse-dns', '450 4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1]'],
  ['rate-limited', '421 4.7.0 mx.example.net Error: too many connections from 192.0.2.1'],
  ['rate-limited', '452 4.5.3 Error: too many messages per session exceeded'],
  [
    'rate-limited',
    '450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered.',
  ],
  ['rate-limited', '451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)'],
  [
    'rate-limited',
    "421 RP-001 (SNT004-MC1F31) Unfortunately, some messages from 192.0.2.1 weren't sent: exceeded rate limit",
  ],
  ['rate-limited', '450 4.7.1 Error: too much mail, throttled'],
  ['sender-refused', '450 4.1.8 <jane@nowhere.test>: Sender address rejected: Domain not found'],
  ['sender-refused', '451 Could not complete sender verify callout'],
  [
    'unknown-for-now',
    '450 4.1.1 <bob@example.net>: Recipient address rejected: unverified address: connect to 10.0.0.1[10.0.0.1]:25: Connection refused',
  ],
  ['unknown-for-now', '450 4.1.1 <bob@example.net>: Recipient address rejected: User unknown in local recipient table'],
  ['remote-trouble', '451 4.3.0 Error: queue file write error'],
  ['remote-trouble', '452 4.3.1 Insufficient system storage'],
  ['remote-trouble', '451 4.3.5 Server configuration error'],
  ['remote-trouble', '421 Service not available, closing transmission channel: system too busy'],
  ['remote-trouble', '432 4.3.2 Concurrent delivery limit: STOREDRV.Deliver; recipient thread limit'],
  ['refused-for-now', '450 Not today'],
  ['refused-for-now', '451 4.0.0 Requested action aborted'],
]

describe('why mail waits', () => {
  it.each(replies)('%s: %s', (cause, reply) => {
    expect(waitingCauseOf({ cause: 'refused-for-now', reply })).toBe(cause)
  })

  it.each([
    ['dns', 'dns-failure', 'the MX of example.net could not be looked up: ESERVFAIL'],
    ['host-down', 'cannot-connect', 'mx.example.net[192.0.2.9]:25: ECONNREFUSED'],
    ['host-down', 'no-host', 'no host to try'],
    ['connection-lost', 'connection-lost', 'connection closed (mail)'],
    ['tls-policy', 'no-tls', 'mx.example.net does not offer STARTTLS, which is required here'],
    ['tls-policy', 'tls-not-verified', 'the certificate of mx.example.net is for other.example'],
    [
      'login-refused',
      'login-refused',
      'login refused: 454 4.7.0 Temporary authentication failure: too many connections',
    ],
    [
      'disk-full',
      'mailbox-unwritable',
      '4.2.2 the mailbox of bob@example.org cannot be written: the disk is full (ENOSPC)',
    ],
    [
      'mailbox-full',
      'mailbox-unwritable',
      '4.2.2 the mailbox of bob@example.org cannot be written: the disk is full (EDQUOT)',
    ],
    ['mailbox-unwritable', 'mailbox-unwritable', '4.3.0 the mailbox of bob@example.org cannot be written: EACCES'],
    ['disk-full', 'disk-full', '4.2.2 the mailbox of bob@example.org cannot be written: the disk is full (ENOSPC)'],
    [
      'mailbox-full',
      'mailbox-full',
      '4.2.2 the mailbox of bob@example.org cannot be written: the disk is full (EDQUOT)',
    ],
    ['our-trouble', 'internal-error', 'the attempt failed here: x is not a function'],
    ['route-forbidden', 'webhook-forbidden', 'hook.example: 127.0.0.1 is not allowed'],
  ] as const)('%s: the Queue Manager says %s', (cause, own, reply) => {
    expect(waitingCauseOf({ cause: own, reply })).toBe(cause)
  })

  it('what the remote server said as it ended the connection counts for more than that it ended', () => {
    const reply =
      'refused at connect: 421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints'
    expect(waitingCauseOf({ cause: 'connection-lost', reply })).toBe('reputation')
    expect(waitingCauseOf({ cause: 'connection-lost', reply: 'the remote ended it: 421 Bye' })).toBe('connection-lost')
  })

  it('a cause that another release knows is refused for now', () => {
    expect(waitingCauseOf({ cause: 'something-new', reply: '' })).toBe('refused-for-now')
  })

  it('reads the beginning of a reply only, however long it is', () => {
    expect(waitingCauseOf({ cause: 'refused-for-now', reply: `451 ${'x'.repeat(100_000)} greylisted` })).toBe(
      'refused-for-now',
    )
  })

  it('every cause explains itself in whole sentences', () => {
    for (const name of waitingCauseNames) {
      const { title, explanation } = waitingCauses[name]
      expect(title).toMatch(/^[A-Z][^.]+$/)
      expect(explanation).toMatch(/^[A-Z].*\.$/)
    }
  })
})
