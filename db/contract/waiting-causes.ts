import type { Tone } from './events/row.ts'

/**
 * The closed list of reasons why mail waits. Remote servers use their own wording, with addresses, host names and
 * ticket numbers in it. The console shows replies with the same cause as one line. Pure.
 */

type WaitingCauseRow = {
  title: string
  /** `calm`: it ends by itself, or somebody wants it. `danger`: it does not end until something is changed here. */
  tone: Tone
  /** What happened, and what an administrator can do about it. */
  explanation: string
}

export const waitingCauses = {
  'not-tried': {
    title: 'Not tried yet',
    tone: 'calm',
    explanation:
      'No attempt has failed. The messages wait because of their domain’s limits, the number of delivery threads, or a stopped Queue Manager.',
  },
  held: {
    title: 'Held',
    tone: 'calm',
    explanation: 'A rule or a person holds these messages. They stay until an operator releases them.',
  },
  greylisted: {
    title: 'Greylisted',
    tone: 'calm',
    explanation:
      'The remote server uses greylisting: it refuses the first attempt of an unknown sender and accepts a later one. No action is needed.',
  },
  reputation: {
    title: 'Our address has a bad reputation',
    tone: 'danger',
    explanation:
      'The remote server defers or limits mail from our IP address because of complaints, spam, or a blocklist. Find out which account or host sends the unwanted mail and stop it. Then ask the operator of the blocklist or of the mail service to remove the address.',
  },
  unauthenticated: {
    title: 'SPF, DKIM or DMARC fails',
    tone: 'danger',
    explanation:
      "The remote server requires authenticated mail. Check the sender domain's SPF, DKIM and DMARC records, and that a DKIM key signs its mail.",
  },
  'reverse-dns': {
    title: 'Our address has no valid reverse DNS name',
    tone: 'danger',
    explanation:
      'The remote server requires a PTR record for our IP address that points to a host with the same address. Ask the provider of the address to set it.',
  },
  'rate-limited': {
    title: 'Rate limited by the remote server',
    tone: 'calm',
    explanation:
      'The remote server accepts no more messages or connections from us for now. Lower the limits of this domain if it happens often.',
  },
  'mailbox-full': {
    title: 'Mailbox full',
    tone: 'warn',
    explanation:
      'The mailbox is over its quota. The owner, or the administrator of the mailbox, has to make room. Mail is returned when it has waited too long.',
  },
  'mailbox-unwritable': {
    title: 'Local mailbox cannot be written',
    tone: 'danger',
    explanation: 'A mailbox on this server cannot be written. Check the owner and the permissions of its directory.',
  },
  'disk-full': {
    title: 'Local disk full',
    tone: 'danger',
    explanation: 'The disk of the local mailboxes is full. Free some space; delivery goes on by itself.',
  },
  'unknown-for-now': {
    title: 'Recipient cannot be verified for now',
    tone: 'warn',
    explanation:
      'The remote server cannot tell whether the recipient exists, often because the server behind it does not answer. Contact its administrator.',
  },
  'sender-refused': {
    title: 'Sender address refused for now',
    tone: 'warn',
    explanation:
      "The remote server cannot verify the sender's address or domain. Check that the sender domain exists in the DNS and has an MX or address record.",
  },
  'host-down': {
    title: 'Host does not answer',
    tone: 'warn',
    explanation:
      'No connection could be made to any host of the destination. The host is down, a firewall is in between, or our network or port 25 is blocked.',
  },
  'connection-lost': {
    title: 'Connection lost or too slow',
    tone: 'warn',
    explanation:
      'The remote host accepted the connection and then closed it or stopped answering. A firewall or a content filter in between is a common cause.',
  },
  dns: {
    title: 'DNS lookup fails',
    tone: 'warn',
    explanation:
      "The name servers of the domain, or our resolver, do not answer. Check the resolver first; then the domain's name servers.",
  },
  'tls-policy': {
    title: 'TLS cannot be established as required',
    tone: 'warn',
    explanation:
      "The destination's policy (MTA-STS, DANE) or a setting requires TLS, and the remote server offers none or its certificate cannot be verified. Mail is not sent in the clear.",
  },
  'login-refused': {
    title: 'Login at the smart host refused',
    tone: 'danger',
    explanation: 'The smart host or route refuses our login. Check the user name and password in its settings.',
  },
  'route-forbidden': {
    title: 'Route leads to a forbidden address',
    tone: 'danger',
    explanation:
      'The host of the webhook resolves to an address that webhooks may not reach. Check the URL of the route.',
  },
  'remote-trouble': {
    title: 'Remote server has a problem',
    tone: 'calm',
    explanation:
      'The remote server reports a temporary problem of its own, such as a full disk, too little memory or a failing filter. It usually ends by itself.',
  },
  'our-trouble': {
    title: 'Attempt failed on this server',
    tone: 'calm',
    explanation:
      'The attempt was interrupted on this server by a restart or an internal error. If this continues, check the log of the Queue Manager.',
  },
  'refused-for-now': {
    title: 'Refused for now',
    tone: 'warn',
    explanation: 'The remote server refused the mail for now. Its reply says why.',
  },
} satisfies Record<string, WaitingCauseRow>

export type WaitingCause = keyof typeof waitingCauses
export const waitingCauseNames = Object.keys(waitingCauses) as [WaitingCause, ...WaitingCause[]]

/** Causes that the Queue Manager gives for an attempt without a remote reply (`cause` of `delivery.deferred`). */
const byOwnCause: Record<string, WaitingCause> = {
  'dns-failure': 'dns',
  'no-host': 'host-down',
  'cannot-connect': 'host-down',
  'connection-lost': 'connection-lost',
  'no-tls': 'tls-policy',
  'tls-not-verified': 'tls-policy',
  'login-refused': 'login-refused',
  'webhook-forbidden': 'route-forbidden',
  'mailbox-unwritable': 'mailbox-unwritable',
  'mailbox-full': 'mailbox-full',
  'disk-full': 'disk-full',
  stopped: 'our-trouble',
  'internal-error': 'our-trouble',
}

/** Causes that do not depend on the reply. */
const settledCauses = new Set(['dns-failure', 'no-host', 'no-tls', 'tls-not-verified', 'login-refused', 'stopped'])

/**
 * Patterns for remote replies, the most reliable first. Enhanced codes are from RFC 3463 and from the published lists
 * of large providers (Google 4.7.x, Microsoft 4.7.5xx and 4.7.65x, Yahoo TSSnn).
 */
const byReply: readonly (readonly [RegExp, WaitingCause])[] = [
  [/\bgr[ae]y-?list/i, 'greylisted'],
  [
    /\b[45]\.2\.2\b|over ?-?quota|quota (is )?exceeded|exceed\w* (the |its |his |your )?(storage |mail ?box )?quota|mail ?box (is |size )?(full|limit)|\bdisk quota\b/i,
    'mailbox-full',
  ],
  [/\b4\.7\.(26|27|29|30|31|32)\b|\b(spf|dkim|dmarc)\b|\bunauthenticated\b/i, 'unauthenticated'],
  [
    /\b4\.7\.(23|25)\b|\bptr\b|\brdns\b|reverse[ -]?(dns|hostname|lookup|name)|cannot find your (reverse )?hostname/i,
    'reverse-dns',
  ],
  [
    /\[?\bTSS?0\d\b|\bS(3150|3140|775|844)\b|\b4\.7\.(28|650|651|652)\b|reputation|\b(un)?solicited\b|user complaints|spamhaus|barracuda|spamcop|sorbs|\bsenderscore|\b(rbl|dnsbl)\b|(black|block|deny)-?list|\bblocked (by|using|for)\b|listed (at|by|in|on)\b/i,
    'reputation',
  ],
  [
    /\b4\.7\.500\b|\b4\.5\.3\b|rate[ -]?limit|throttl|too (many|fast|frequent)|slow down|(limit|maximum|number) (of|for) (concurrent |simultaneous )?(connections|sessions|messages|recipients)|(connection|message|session)s? (rate |count )?limit|exceed\w* (the )?(rate|limit|maximum|number)|receiving mail at a rate/i,
    'rate-limited',
  ],
  [/\b4\.1\.[78]\b|sender (address|domain|verify|verification)\b|domain of sender\b/i, 'sender-refused'],
  [
    /\b4\.1\.[12]\b|recipient (address )?(verif|unverif)|unverified (address|recipient)|address (verification|lookup) (fail|in progress)|user unknown/i,
    'unknown-for-now',
  ],
  [
    /\b4\.7\.1\b.*\b(try|retry|later|again)\b|\b(come|try) (back|again) in \d+|temporarily rejected\b.*\btry again/i,
    'greylisted',
  ],
  [
    /\b4\.3\.\d\b|out of (memory|disk|space|resources)|insufficient (system|disk)|(system|local|internal|queue file|disk|i\/o) (error|failure|problem)|\bmilter\b|(server|system|service) (is )?(too )?(busy|overload|unavailable|not available)|not accepting (mail|messages|network)/i,
    'remote-trouble',
  ],
]

/** Matches text that contains a server's reply: a code and its text. */
const hasRemoteReply = /(?:^|[\s:])[45]\d\d[ -]/

/** Finds the waiting cause from `cause` and `reply` of `delivery.deferred`. */
export function waitingCauseOf({ cause, reply }: { cause: string; reply: string }): WaitingCause {
  const own = byOwnCause[cause]
  if (own === 'mailbox-unwritable') return mailboxCause(reply)
  if (own !== undefined && (settledCauses.has(cause) || !hasRemoteReply.test(reply))) return own
  // Match only the beginning: a reply may be long, and the patterns run for each event.
  const text = reply.slice(0, 500)
  for (const [pattern, found] of byReply) if (pattern.test(text)) return found
  return own ?? 'refused-for-now'
}

function mailboxCause(reply: string): WaitingCause {
  if (reply.includes('ENOSPC')) return 'disk-full'
  return reply.includes('EDQUOT') ? 'mailbox-full' : 'mailbox-unwritable'
}
