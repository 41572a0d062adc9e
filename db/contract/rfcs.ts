import { z } from 'zod'

/**
 * The standards that Postern keeps, and the tests that show it: a row stands in the published table only with its tests.
 * test/rfcs.test.ts holds this against the code: the files exist and name the RFC, and every EHLO keyword has its row.
 */

export const rfcSchema = z.object({
  number: z.number().int(),
  title: z.string(),
  /** What a client, the next host or an administrator sees of it. */
  what: z.string(),
  /** What of it is not done, or is done in one of several ways it allows. */
  note: z.string().optional(),
  /** EHLO keywords it defines that are offered. */
  keywords: z.array(z.string()),
  /** Files of this repository in which tests name the RFC. */
  tests: z.array(z.string()).min(1),
})
export type Rfc = z.infer<typeof rfcSchema>

type Row = Omit<Rfc, 'keywords'> & { keywords?: string[] }

const extensions = 'test/wire/extensions.test.ts'
const dialogue = 'test/wire/dialogue.test.ts'
const mailauth = 'test/wire/mailauth.test.ts'
const outbound = 'test/system/queue-tls.test.ts'
const mailCases = 'test/cases/mailauth/mailauth.test.ts'
const notify = 'workers/queue/dsn/notify.test.ts'

const rows: readonly Row[] = [
  {
    number: 1870,
    title: 'Message Size Declaration',
    what: 'general.maxMessageBytes is said in EHLO and kept at MAIL (552 5.3.4) and at the end of data.',
    keywords: ['SIZE'],
    tests: ['test/wire/limits.test.ts', 'workers/queue/delivery/remote.test.ts'],
  },
  {
    number: 1985,
    title: 'Remote Message Queue Starting',
    what: 'ETRN domain, from clients that may relay: what waits for the domain is tried now.',
    note: 'The forms @domain and #queue are refused with 501.',
    keywords: ['ETRN'],
    tests: [extensions],
  },
  {
    number: 2034,
    title: 'Returning Enhanced Error Codes',
    what: 'Every reply that may carry an enhanced status code does.',
    keywords: ['ENHANCEDSTATUSCODES'],
    tests: [dialogue],
  },
  {
    number: 2920,
    title: 'Command Pipelining',
    what: 'Commands sent together are answered in order, in as few packets as possible.',
    keywords: ['PIPELINING'],
    tests: [dialogue],
  },
  {
    number: 3030,
    title: 'Large and Binary MIME Messages',
    what: 'BDAT: a message in counted chunks. Bare CR, LF and NUL are refused as after DATA.',
    note: 'BINARYMIME is not offered: every message must be fit to go on with DATA.',
    keywords: ['CHUNKING'],
    tests: [extensions, 'workers/smtp/message/chunking.test.ts'],
  },
  {
    number: 3207,
    title: 'SMTP over TLS',
    what: 'STARTTLS as soon as there is a certificate; everything said before the handshake is forgotten.',
    keywords: ['STARTTLS'],
    tests: ['workers/smtp/listen/tls.test.ts'],
  },
  {
    number: 3461,
    title: 'Delivery Status Notifications (extension)',
    what: 'RET, ENVID, NOTIFY and ORCPT are obeyed, and passed on to hosts that offer DSN.',
    keywords: ['DSN'],
    tests: [extensions, notify],
  },
  {
    number: 3462,
    title: 'Multipart/Report',
    what: 'A notification is text for people, fields for programs, and the message or its header.',
    tests: [notify],
  },
  {
    number: 3463,
    title: 'Enhanced Mail System Status Codes',
    what: 'One catalogue of replies in which code and enhanced code cannot disagree.',
    tests: [dialogue],
  },
  {
    number: 3464,
    title: 'Delivery Status Notifications (format)',
    what: 'Bounces and delay warnings with a message/delivery-status part.',
    tests: [notify],
  },
  {
    number: 3848,
    title: 'Transmission Types',
    what: 'Received says ESMTP, ESMTPS, ESMTPA or ESMTPSA.',
    tests: [extensions],
  },
  {
    number: 4616,
    title: 'SASL PLAIN',
    what: 'Under TLS only, unless the settings say otherwise.',
    tests: ['test/wire/auth.test.ts'],
  },
  {
    number: 4954,
    title: 'SMTP Authentication',
    what: 'AUTH against the accounts; unknown user and wrong password are one answer.',
    keywords: ['AUTH'],
    tests: ['test/wire/auth.test.ts'],
  },
  {
    number: 5248,
    title: 'Registry of Status Codes',
    what: 'Replies use registered enhanced codes.',
    tests: [dialogue],
  },
  {
    number: 5321,
    title: 'Simple Mail Transfer Protocol',
    what: 'Commands, order, limits, time-outs, trace fields, loops, postmaster; data ends with CRLF.CRLF and nothing else.',
    note: 'EXPN and VRFY are off by default, and offered where they answer; TURN, SEND, SOML and SAML are not implemented.',
    keywords: ['HELP', 'VRFY', 'EXPN'],
    tests: [dialogue, 'test/wire/smuggling.test.ts'],
  },
  {
    number: 5322,
    title: 'Internet Message Format',
    what: 'Trace fields, Date and Message-ID that are added; what is no line of text is refused.',
    tests: [extensions],
  },
  {
    number: 5782,
    title: 'DNS Blacklists and Whitelists',
    what: 'security.dnsbl: lists are asked about a client, IPv4 and IPv6; 550 5.7.1 with the name and the text of the list.',
    tests: ['test/wire/lookups.test.ts'],
  },
  {
    number: 6152,
    title: '8-bit MIME Transport',
    what: 'BODY=8BITMIME is taken, and octets stay as they came.',
    keywords: ['8BITMIME'],
    tests: [extensions, 'workers/queue/delivery/remote.test.ts'],
  },
  {
    number: 6376,
    title: 'DomainKeys Identified Mail',
    what: 'Signatures are verified on arrival and made for local domains.',
    tests: [mailauth, mailCases],
  },
  {
    number: 6409,
    title: 'Message Submission',
    what: 'The submission port wants TLS and a login. Date and Message-ID are added where they are missing, for clients of the relay list as well; Bcc is taken out.',
    tests: [extensions],
  },
  {
    number: 6531,
    title: 'Internationalized Email (SMTP)',
    what: 'UTF-8 in addresses for clients that ask for it, 553 5.6.7 for others; Received says UTF8SMTP.',
    keywords: ['SMTPUTF8'],
    tests: [extensions, 'workers/queue/delivery/remote.test.ts'],
  },
  {
    number: 6532,
    title: 'Internationalized Email Headers',
    what: 'UTF-8 in headers is kept, and shown as it is.',
    tests: [extensions],
  },
  {
    number: 6533,
    title: 'Internationalized Delivery Status Notifications',
    what: 'ORCPT beyond ASCII; notifications about mail of SMTPUTF8 in message/global-delivery-status, message/global and message/global-headers.',
    note: 'About other mail they are written in ASCII, with message/delivery-status.',
    tests: [extensions, 'workers/smtp/commands/extensions.test.ts', notify],
  },
  {
    number: 6647,
    title: 'Email Greylisting',
    what: 'security.greylist: the first sight of client network, sender and recipient is answered with 451 4.7.1.',
    note: 'Each worker remembers for itself.',
    tests: ['test/wire/greylist.test.ts'],
  },
  {
    number: 7208,
    title: 'Sender Policy Framework',
    what: 'The sender’s domain is asked which hosts may send for it.',
    tests: [mailauth, mailCases],
  },
  {
    number: 7372,
    title: 'Email Authentication Status Codes',
    what: 'security.checkReverseDns: 550 5.7.25 where the address has no name that has the address.',
    tests: ['test/wire/lookups.test.ts'],
  },
  {
    number: 7505,
    title: 'Null MX',
    what: 'A domain that takes no mail is not tried: returned at once with 5.1.10. As a sender it is refused with 550 5.7.27 (security.checkSenderDomain).',
    tests: ['test/wire/routes.test.ts', 'test/wire/lookups.test.ts'],
  },
  {
    number: 7628,
    title: 'SASL Mechanisms for OAuth',
    what: 'OAUTHBEARER, and XOAUTH2 beside it, with tokens of the issuer that advanced.oauth names.',
    note: 'Offered under TLS only, and when an issuer is named. Tokens are JWTs; others cannot be checked.',
    tests: ['test/wire/oauth.test.ts', 'workers/smtp/auth/tokens.test.ts'],
  },
  {
    number: 7672,
    title: 'SMTP Security via DANE',
    what: 'TLSA records of the next host decide which certificate it must show.',
    tests: [outbound],
  },
  {
    number: 8314,
    title: 'Cleartext Considered Obsolete',
    what: 'TLS from the first byte on a port of its own.',
    tests: ['workers/smtp/listen/tls.test.ts'],
  },
  {
    number: 8461,
    title: 'MTA Strict Transport Security',
    what: 'The policy of the recipient’s domain is fetched, kept and obeyed.',
    tests: [outbound],
  },
  {
    number: 8463,
    title: 'Ed25519 for DKIM',
    what: 'Signatures with Ed25519 beside those with RSA.',
    tests: [mailCases],
  },
  {
    number: 8601,
    title: 'Authentication-Results',
    what: 'What was found stands in a header of ours; forged ones are removed.',
    tests: [mailauth],
  },
  {
    number: 8689,
    title: 'Require TLS',
    what: 'REQUIRETLS under TLS: the message goes on under verified TLS or comes back, and so does what tells of it; TLS-Required: No waives what the recipient’s domain demands.',
    keywords: ['REQUIRETLS'],
    tests: [extensions, 'test/system/requiretls.test.ts', outbound],
  },
  {
    number: 9422,
    title: 'SMTP Limits',
    what: 'RCPTMAX is advanced.maxRecipients.',
    note: 'MAILMAX is not said: a session may bring any number of messages.',
    keywords: ['LIMITS'],
    tests: [extensions],
  },
  {
    number: 9989,
    title: 'DMARC (replaces RFC 7489)',
    what: 'The policy of the domain in From decides about mail that neither SPF nor DKIM stands for.',
    tests: [mailauth, mailCases],
  },
]

export const rfcs: readonly Rfc[] = rows.map(({ keywords = [], ...row }) => ({ ...row, keywords }))
