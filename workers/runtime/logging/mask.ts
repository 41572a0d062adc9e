/**
 * The SMTP dialogue without its secrets. Whatever may be a password or a token is not shown: what follows AUTH, every line
 * of an AUTH exchange, and every line that is no command, because a client whose AUTH was refused sends its password
 * all the same.
 */

/** Those a client may name; another word behind AUTH may be a password that stands in the wrong place. */
const mechanism =
  /^(PLAIN|LOGIN|CRAM-MD5|DIGEST-MD5|NTLM|GSSAPI|ANONYMOUS|XOAUTH2|OAUTHBEARER|EXTERNAL|SCRAM-SHA-(1|256)(-PLUS)?)$/i
const longest = 900

/** The mechanism in upper case, or `UNKNOWN`: fit for events. */
export const mechanismName = (word: string): string => (mechanism.test(word) ? word.toUpperCase() : 'UNKNOWN')

/** `within`: the line answers a challenge. `known`: its first word is a command of ours. */
export function maskClientLine(line: string, { within, known }: { within: boolean; known: boolean }): string {
  if (within) return line === '*' ? '*' : '***'
  if (!known) return `(${line.length} octets that are no command)`
  const [verb = '', first = '', ...rest] = line.split(' ')
  if (verb.toUpperCase() !== 'AUTH') return line.slice(0, longest)
  const named = mechanism.test(first) ? ` ${first.toUpperCase()}` : first ? ' ***' : ''
  return `AUTH${named}${rest.length > 0 ? ' ***' : ''}`
}

/** What the server said; a challenge may hold what the client sent before. */
export function maskServerLine(line: string): string {
  return line.startsWith('334') ? '334 ***' : line.slice(0, longest)
}
