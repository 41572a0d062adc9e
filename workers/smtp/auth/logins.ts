import type { Settings } from '@postern/contract/settings.ts'
import { Credentials } from './credentials.ts'
import { PasswordThreads } from './password-threads.ts'
import { type FetchJson, Tokens } from './tokens.ts'

/** How clients of this worker log in: with a password of an account, or a token of the issuer. */
export type Logins = {
  readonly passwords: Credentials
  readonly tokens: Tokens
  /** These settings are in force. */
  follow(settings: Settings): void
}

export function openLogins(fetchJson: FetchJson): Logins {
  const first = new PasswordThreads({ idlePriority: false })
  const last = new PasswordThreads({ idlePriority: true })
  const passwords = new Credentials({
    check: (hash, password, isSuspect) => (isSuspect ? last : first).check(hash, password),
  })
  const tokens = new Tokens(fetchJson)
  return {
    passwords,
    tokens,
    follow({ advanced }) {
      tokens.follow(advanced.oauth)
      passwords.concurrent = advanced.minThreads
    },
  }
}
