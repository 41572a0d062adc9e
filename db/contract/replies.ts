/**
 * The catalogue of SMTP replies. The type ensures that the code and the enhanced status code (RFC 3463, RFC 5248)
 * agree. `{name}` is a placeholder, which `fillReply` alone replaces, with printable ASCII.
 */
type Code =
  | 211
  | 214
  | 220
  | 221
  | 235
  | 250
  | 251
  | 252
  | 334
  | 354
  | 421
  | 430
  | 450
  | 451
  | 452
  | 454
  | 455
  | 458
  | 459
  | 500
  | 501
  | 502
  | 503
  | 504
  | 521
  | 523
  | 530
  | 534
  | 535
  | 538
  | 541
  | 550
  | 551
  | 552
  | 553
  | 554
  | 555
type Class<C extends Code> = `${C}` extends `${infer D}${string}` ? D : never
type Enhanced<C extends Code> =
  Class<C> extends '3' ? null : `${Class<C>}.${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7}.${number}` | null

export type Reply = { readonly code: Code; readonly enhanced: string | null; readonly text: string }

function reply<C extends Code>(code: C, enhanced: Enhanced<C>, text: string): Reply {
  return { code, enhanced, text }
}

export const replies = {
  // The banner and the replies to HELO and EHLO have no enhanced code (RFC 2034 §4).
  banner: reply(220, null, '{hostname} {message}'),
  hello: reply(250, null, '{hostname} greets {client}'),
  goodbye: reply(221, '2.0.0', '{hostname} closing connection'),
  ok: reply(250, '2.0.0', 'OK'),
  reset: reply(250, '2.0.0', 'Flushed'),
  help: reply(214, '2.0.0', 'Supported commands: {commands}'),
  senderOk: reply(250, '2.1.0', 'Sender OK'),
  recipientOk: reply(250, '2.1.5', 'Recipient OK'),
  startMail: reply(354, null, 'End data with <CR><LF>.<CR><LF>'),
  chunkTaken: reply(250, '2.0.0', '{bytes} octets received'),
  accepted: reply(250, '2.0.0', 'Accepted as {id}'),
  startTls: reply(220, '2.0.0', 'Ready to start TLS'),
  authenticated: reply(235, '2.7.0', 'Authentication succeeded'),
  authContinue: reply(334, null, '{challenge}'),
  vrfyUnconfirmed: reply(252, '2.1.5', 'Cannot VRFY user, but will take mail for it'),
  vrfyLocal: reply(250, '2.1.5', '<{address}>'),
  vrfyForwarded: reply(251, '2.1.5', 'User not local; will forward to <{address}>'),
  vrfyUnknown: reply(550, '5.1.1', 'User unknown'),
  expnMember: reply(250, '2.1.5', '<{address}>'),
  expnDisabled: reply(502, '5.5.1', 'EXPN is not available'),
  expnRefused: reply(550, '5.7.1', 'EXPN of this group is not permitted'),
  expnUnknown: reply(550, '5.1.1', 'No such group'),

  serviceStopping: reply(421, '4.3.2', '{hostname} is shutting down, try again later'),
  closing: reply(421, '4.7.0', '{hostname} closing connection'),
  tooManySessions: reply(421, '4.3.2', 'Too many sessions, try again later'),
  connectionsPerAddress: reply(421, '4.7.0', 'Too many connections from your address'),
  commandTimeout: reply(421, '4.4.2', 'Timeout waiting for a command'),
  dataTimeout: reply(421, '4.4.2', 'Timeout waiting for data'),
  accessDenied: reply(554, '5.7.1', 'Access denied for {ip}'),
  pregreet: reply(554, '5.5.1', 'Protocol error: you talked before the greeting'),
  dnsbl: reply(550, '5.7.1', 'Client {ip} is listed by {zone}{text}'),
  // RFC 7372 §3.3
  reverseDns: reply(550, '5.7.25', 'Reverse DNS of {ip} is missing or not confirmed'),
  proxyRequired: reply(421, '4.7.0', 'PROXY header expected'),
  proxyError: reply(421, '4.7.0', 'PROXY header not accepted from {ip}'),
  internalError: reply(451, '4.3.0', 'Local error, try again later'),
  etrnStarted: reply(250, '2.0.0', 'OK, queuing for node {domain} started'),
  etrnUnable: reply(458, '4.3.0', 'Unable to queue messages for node {domain}'),
  etrnRefused: reply(459, '4.7.1', 'Node {domain} not allowed: log in, or use a client that may relay'),
  spoolFull: reply(452, '4.3.1', 'Insufficient storage, try again later'),

  syntaxError: reply(500, '5.5.2', 'Syntax error, command not recognised'),
  lineTooLong: reply(500, '5.5.6', 'Line too long'),
  bareLineFeedInCommand: reply(500, '5.5.2', 'Lines must end with CRLF'),
  connectionRate: reply(421, '4.7.0', 'Too many connections, try again later'),
  messageRate: reply(450, '4.7.1', 'Too many messages, try again later'),
  recipientRate: reply(450, '4.7.1', 'Too many recipients, try again later'),
  addressBlocked: reply(421, '4.7.0', 'Your address is blocked'),
  hackAttempt: reply(421, '4.7.0', 'This is a mail server; goodbye'),
  tooManyErrors: reply(421, '4.7.0', 'Too many errors'),
  argumentError: reply(501, '5.5.4', 'Syntax error in parameters: {detail}'),
  parameterUnknown: reply(555, '5.5.4', 'Parameter not supported: {parameter}'),
  commandUnknown: reply(500, '5.5.1', 'Command not recognised'),
  commandNotImplemented: reply(502, '5.5.1', 'Command not implemented'),
  badSequence: reply(503, '5.5.1', 'Bad sequence of commands: {detail}'),
  helloRequired: reply(503, '5.5.1', 'Send HELO or EHLO first'),
  helloSyntax: reply(501, '5.5.2', 'HELO or EHLO needs a host name or an address literal'),
  helo: reply(550, '5.7.1', 'HELO name {helo} does not resolve'),

  tlsRequired: reply(530, '5.7.0', 'Must issue a STARTTLS command first'),
  tlsUnavailable: reply(454, '4.7.0', 'TLS is not available'),
  tlsActive: reply(503, '5.5.1', 'TLS is already active'),
  authRequired: reply(530, '5.7.0', 'Authentication required'),
  authDisabled: reply(502, '5.5.1', 'AUTH is not available'),
  authMechanism: reply(504, '5.5.4', 'Mechanism not supported'),
  authRequiresTls: reply(538, '5.7.11', 'Encryption required for this mechanism'),
  authFailed: reply(535, '5.7.8', 'Authentication credentials invalid'),
  authTemporary: reply(454, '4.7.0', 'Temporary authentication failure'),
  authCancelled: reply(501, '5.7.0', 'Authentication cancelled'),
  authTwice: reply(503, '5.5.1', 'Already authenticated'),
  authDecoding: reply(501, '5.5.2', 'Cannot decode response'),

  senderSyntax: reply(501, '5.1.7', 'Bad sender address: {detail}'),
  killFile: reply(501, '5.7.1', 'unacceptable mail address'),
  senderMustMatchLogin: reply(553, '5.7.1', 'Sender address does not belong to {login}'),
  senderDomainUnknown: reply(550, '5.1.8', 'Sender domain {domain} has no MX or address record'),
  // RFC 7505 §4.2
  senderDomainNullMx: reply(550, '5.7.27', 'Sender domain {domain} has a null MX'),
  senderDomainNotKnown: reply(451, '4.4.3', 'Sender domain {domain} cannot be looked up now, try again later'),
  messageTooLarge: reply(552, '5.3.4', 'Message exceeds {limit} bytes'),
  recipientSyntax: reply(501, '5.1.3', 'Bad recipient address: {detail}'),
  tooManyRecipients: reply(452, '4.5.3', 'Too many recipients'),
  relayDenied: reply(550, '5.7.1', 'Relaying denied for {recipient}'),
  groupDenied: reply(550, '5.7.2', 'Mail to this group is not permitted from outside'),
  userUnknown: reply(550, '5.1.1', 'User unknown: {recipient}'),
  recipientNotVerified: reply(451, '4.4.1', 'Recipient cannot be verified now, try again later'),
  aliasLoop: reply(550, '5.4.6', 'Address loops: {recipient}'),
  greylist: reply(451, '4.7.1', 'Greylisted, try again in {seconds} seconds'),
  noValidRecipients: reply(554, '5.5.1', 'No valid recipients'),
  bareLineFeed: reply(554, '5.6.0', 'Bare CR or LF in message; lines must end with CRLF'),
  nulOctet: reply(554, '5.6.0', 'NUL octet in message'),
  dataLineTooLong: reply(554, '5.6.0', 'Line too long in message'),
  spfFail: reply(550, '5.7.23', 'SPF validation failed: {ip} may not send mail for {domain}'),
  spfFailExplained: reply(
    550,
    '5.7.23',
    'SPF validation failed: {ip} may not send mail for {domain}, which explains: {explanation}',
  ),
  dmarcReject: reply(550, '5.7.1', 'DMARC: the policy of {domain} rejects this message'),
  mailLoop: reply(554, '5.4.6', 'Too many hops: {hops} Received headers'),
  applicationRefused: reply(550, '5.7.1', 'Message refused: {reason}'),
  applicationUnavailable: reply(451, '4.7.1', 'Message cannot be checked now, try again later'),
  smtpUtf8Required: reply(553, '5.6.7', 'Address needs SMTPUTF8'),
} as const satisfies Record<string, Reply>

export type ReplyName = keyof typeof replies

/** For each reply with placeholders: its text, and the placeholder names in order. */
const places = new Map<string, string[]>(
  Object.entries(replies).flatMap(([name, { text }]) => (text.includes('{') ? [[name, text.split(/\{(\w+)\}/)]] : [])),
)

/**
 * Fills in the placeholders `{name}`. Characters other than printable ASCII become `?`, so that client input cannot
 * start a second line.
 */
export function fillReply(name: ReplyName, values: Readonly<Record<string, string | number>> = {}): Reply {
  const { code, enhanced, text } = replies[name]
  const parts = places.get(name)
  if (!parts) return { code, enhanced, text }
  let filled = ''
  for (const [i, part] of parts.entries()) filled += i % 2 === 0 ? part : printable(String(values[part] ?? ''))
  return { code, enhanced, text: filled }
}

const unprintable = /[^\x20-\x7e]/g

const printable = (text: string): string => text.replace(unprintable, '?').slice(0, 400)
