import { z } from 'zod'

/**
 * The standards that Postern supports, and the tests that prove it. The published table has a row only if tests exist.
 * test/rfcs.test.ts checks that the files exist and name the RFC, and that every EHLO keyword has a row.
 */

export const rfcSchema = z.object({
  number: z.number().int(),
  title: z.string(),
  /** The effect for a client, the next host or an administrator. */
  what: z.string(),
  /** What is not supported, or which of several permitted options was chosen. */
  note: z.string().optional(),
  /** EHLO keywords of this RFC that the server offers. */
  keywords: z.array(z.string()),
  /** Files of this repository whose tests name the RFC. */
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
    what: 'EHLO announces general.maxMessageBytes. Larger messages get 552 5.3.4, at MAIL or at the end of data.',
    keywords: ['SIZE'],
    tests: ['test/wire/limits.test.ts', 'workers/queue/delivery/remote.test.ts'],
  },
  {
    number: 1985,
    title: 'Remote Message Queue Starting',
    what: 'ETRN domain, from clients that may relay, tries the mail waiting for the domain at once.',
    note: 'ETRN @domain and ETRN #queue get 501.',
    keywords: ['ETRN'],
    tests: [extensions],
  },
  {
    number: 2034,
    title: 'Returning Enhanced Error Codes',
    what: 'Every reply has an enhanced status code, except where the RFC forbids one.',
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
    what: 'BDAT sends a message in counted chunks. Bare CR, bare LF and NUL are refused, as with DATA.',
    note: 'BINARYMIME is not offered, because every message must be deliverable with DATA.',
    keywords: ['CHUNKING'],
    tests: [extensions, 'workers/smtp/message/chunking.test.ts'],
  },
  {
    number: 3207,
    title: 'SMTP over TLS',
    what: 'STARTTLS is offered once there is a certificate. After the handshake the session starts anew.',
    keywords: ['STARTTLS'],
    tests: ['workers/smtp/listen/tls.test.ts'],
  },
  {
    number: 3461,
    title: 'Delivery Status Notifications (extension)',
    what: 'RET, ENVID, NOTIFY and ORCPT are honoured, and passed on to hosts that offer DSN.',
    keywords: ['DSN'],
    tests: [extensions, notify],
  },
  {
    number: 3462,
    title: 'Multipart/Report',
    what: 'A DSN has text for people, fields for programs, and the message or its header.',
    tests: [notify],
  },
  {
    number: 3463,
    title: 'Enhanced Mail System Status Codes',
    what: 'Every reply comes from one catalogue, in which the code and the enhanced code always agree.',
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
    what: 'Received headers contain ESMTP, ESMTPS, ESMTPA or ESMTPSA.',
    tests: [extensions],
  },
  {
    number: 4616,
    title: 'SASL PLAIN',
    what: 'PLAIN is offered only under TLS, unless advanced.allowPlainWithoutTls is on.',
    tests: ['test/wire/auth.test.ts'],
  },
  {
    number: 4954,
    title: 'SMTP Authentication',
    what: 'Users log in with their account. An unknown user and a wrong password get the same answer.',
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
    what: 'Commands, their order, limits, timeouts, trace fields, loop detection and postmaster. Only CRLF.CRLF ends a message.',
    note: 'VRFY and EXPN are off by default, and announced only if they are on. TURN, SEND, SOML and SAML are not implemented.',
    keywords: ['HELP', 'VRFY', 'EXPN'],
    tests: [dialogue, 'test/wire/smuggling.test.ts'],
  },
  {
    number: 5322,
    title: 'Internet Message Format',
    what: 'Trace fields are added, and Date and Message-ID where they are missing. Malformed lines are refused.',
    tests: [extensions],
  },
  {
    number: 5782,
    title: 'DNS Blacklists and Whitelists',
    what: 'security.dnsbl: DNS lists are queried for IPv4 and IPv6 clients. A listed client gets 550 5.7.1 with the name and text of the list.',
    tests: ['test/wire/lookups.test.ts'],
  },
  {
    number: 6152,
    title: '8-bit MIME Transport',
    what: 'BODY=8BITMIME is accepted, and bytes are not changed.',
    keywords: ['8BITMIME'],
    tests: [extensions, 'workers/queue/delivery/remote.test.ts'],
  },
  {
    number: 6376,
    title: 'DomainKeys Identified Mail',
    what: 'Signatures are verified on arrival, and created for local domains.',
    tests: [mailauth, mailCases],
  },
  {
    number: 6409,
    title: 'Message Submission',
    what: 'The submission port requires TLS and a login. Missing Date and Message-ID headers are added, also for clients in the relay list. Bcc is removed.',
    tests: [extensions],
  },
  {
    number: 6531,
    title: 'Internationalized Email (SMTP)',
    what: 'Addresses may be UTF-8 if the client asks for SMTPUTF8; otherwise they get 553 5.6.7. Received headers contain UTF8SMTP.',
    keywords: ['SMTPUTF8'],
    tests: [extensions, 'workers/queue/delivery/remote.test.ts'],
  },
  {
    number: 6532,
    title: 'Internationalized Email Headers',
    what: 'UTF-8 in headers is kept and shown.',
    tests: [extensions],
  },
  {
    number: 6533,
    title: 'Internationalized Delivery Status Notifications',
    what: 'ORCPT may be UTF-8. DSNs about SMTPUTF8 mail use message/global-delivery-status, message/global and message/global-headers.',
    note: 'DSNs about other mail are ASCII, with message/delivery-status.',
    tests: [extensions, 'workers/smtp/commands/extensions.test.ts', notify],
  },
  {
    number: 6647,
    title: 'Email Greylisting',
    what: 'security.greylist: the first message from a client network with this sender and recipient gets 451 4.7.1.',
    note: 'Each worker keeps its own records.',
    tests: ['test/wire/greylist.test.ts'],
  },
  {
    number: 7208,
    title: 'Sender Policy Framework',
    what: 'The DNS of the sender’s domain says which hosts may send for it.',
    tests: [mailauth, mailCases],
  },
  {
    number: 7372,
    title: 'Email Authentication Status Codes',
    what: 'security.checkReverseDns: a client without confirmed reverse DNS gets 550 5.7.25.',
    tests: ['test/wire/lookups.test.ts'],
  },
  {
    number: 7505,
    title: 'Null MX',
    what: 'Mail to a domain with a null MX is returned at once with 5.1.10. A sender in such a domain gets 550 5.7.27 (security.checkSenderDomain).',
    tests: ['test/wire/routes.test.ts', 'test/wire/lookups.test.ts'],
  },
  {
    number: 7628,
    title: 'SASL Mechanisms for OAuth',
    what: 'OAUTHBEARER and XOAUTH2 accept tokens of the issuer in advanced.oauth.',
    note: 'Offered only under TLS, and only if an issuer is set. Only JWTs can be checked.',
    tests: ['test/wire/oauth.test.ts', 'workers/smtp/auth/tokens.test.ts'],
  },
  {
    number: 7672,
    title: 'SMTP Security via DANE',
    what: 'TLSA records specify the certificate that the next host must present.',
    tests: [outbound],
  },
  {
    number: 8314,
    title: 'Cleartext Considered Obsolete',
    what: 'A separate port uses TLS from the first byte.',
    tests: ['workers/smtp/listen/tls.test.ts'],
  },
  {
    number: 8461,
    title: 'MTA Strict Transport Security',
    what: 'The policy of the recipient’s domain is fetched, cached and enforced.',
    tests: [outbound],
  },
  {
    number: 8463,
    title: 'Ed25519 for DKIM',
    what: 'Ed25519 signatures are created and verified, in addition to RSA.',
    tests: [mailCases],
  },
  {
    number: 8601,
    title: 'Authentication-Results',
    what: 'The results are added as a header. Forged headers are removed.',
    tests: [mailauth],
  },
  {
    number: 8689,
    title: 'Require TLS',
    what: 'REQUIRETLS is offered under TLS. The message, and any DSN about it, is sent only over verified TLS; otherwise it is returned. TLS-Required: No waives the TLS requirements of the recipient’s domain.',
    keywords: ['REQUIRETLS'],
    tests: [extensions, 'test/system/requiretls.test.ts', outbound],
  },
  {
    number: 9422,
    title: 'SMTP Limits',
    what: 'RCPTMAX announces advanced.maxRecipients.',
    note: 'MAILMAX is not announced: a session may send any number of messages.',
    keywords: ['LIMITS'],
    tests: [extensions],
  },
  {
    number: 9989,
    title: 'DMARC (replaces RFC 7489)',
    what: 'If neither SPF nor DKIM passes for the domain in From, the policy of that domain applies.',
    tests: [mailauth, mailCases],
  },
]

export const rfcs: readonly Rfc[] = rows.map(({ keywords = [], ...row }) => ({ ...row, keywords }))
