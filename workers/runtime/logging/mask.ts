/**
 * Masks secrets in the SMTP dialogue. Anything that may be a password or a token is hidden: the text after AUTH, every
 * line of an AUTH exchange, and every line that is not a command, because a client whose AUTH was refused may still
 * send its password.
 */

/** Mechanisms that a client may name. Any other word after AUTH may be a misplaced password. */
const mechanism =
  /^(PLAIN|LOGIN|CRAM-MD5|DIGEST-MD5|NTLM|GSSAPI|ANONYMOUS|XOAUTH2|OAUTHBEARER|EXTERNAL|SCRAM-SHA-(1|256)(-PLUS)?)$/i
const longest = 900

/** Returns the mechanism in upper case, or `UNKNOWN`, for use in events. */
export const mechanismName = (word: string): string => (mechanism.test(word) ? word.toUpperCase() : 'UNKNOWN')

/** `within`: the line answers a challenge. `known`: its first word is a command of this server. */
export function maskClientLine(line: string, { within, known }: { within: boolean; known: boolean }): string {
  if (within) return line === '*' ? '*' : '***'
  if (!known) return `(${line.length} bytes that are not a command)`
  const [verb = '', first = '', ...rest] = line.split(' ')
  if (verb.toUpperCase() !== 'AUTH') return line.slice(0, longest)
  const named = mechanism.test(first) ? ` ${first.toUpperCase()}` : first ? ' ***' : ''
  return `AUTH${named}${rest.length > 0 ? ' ***' : ''}`
}

/** Masks a server line. A challenge may repeat what the client sent before. */
export function maskServerLine(line: string): string {
  return line.startsWith('334') ? '334 ***' : line.slice(0, longest)
}
