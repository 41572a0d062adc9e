import type { Account } from '@postern/contract/directory.ts'
import type { AuthFacts } from '@postern/contract/facts.ts'
import { decideAuth } from '@postern/policy/decide.ts'
import { findAccount, findClaimed, isNameOf } from '@postern/policy/login.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { mechanismName } from '@postern/runtime/logging/mask.ts'
import { type Bearer, readOauthBearer, readXoauth2, refusalChallenge } from '../auth/bearer.ts'
import { decodeResponse, type Login, passwordChallenge, readPlain, usernameChallenge } from '../auth/sasl.ts'
import { type Command, type CommandSession, longestLine } from './command.ts'

/** RFC 4954. */
export const auth: Command = {
  verb: 'AUTH',
  syntax: 'AUTH mechanism',
  afterHello: true,
  argument: 'required',
  longest: longestLine,
  run(session, argument) {
    const { receiver, facts, transaction } = session
    if (facts.login !== undefined) return session.protocolError('authTwice', { detail: 'AUTH after a login' })
    if (transaction)
      return session.protocolError('badSequence', { values: { detail: 'transaction open' }, detail: 'AUTH after MAIL' })
    const [name = '', initial, ...rest] = argument.split(/ +/)
    const mechanism = mechanismName(name)
    if (rest.length > 0)
      return session.protocolError('argumentError', {
        values: { detail: 'too many' },
        detail: 'AUTH with too many arguments',
      })
    if (!session.settle(decideAuth({ ...session.refresh(), mechanism }, receiver.policy))) return
    if (mechanism === 'PLAIN') plain(session, initial)
    else if (mechanism === 'LOGIN') login(session, initial)
    else bearer(session, mechanism, initial)
  },
}

function plain(session: CommandSession, initial: string | undefined): void {
  const take = (text: string) => {
    const credentials = readPlain(text)
    if (credentials) check(session, 'PLAIN', credentials)
    else session.protocolError('authDecoding', { detail: 'AUTH PLAIN without login and password' })
  }
  if (initial === undefined) challenge(session, '', take)
  else respond(session, initial, take)
}

function login(session: CommandSession, initial: string | undefined): void {
  const take = (name: string) =>
    challenge(session, passwordChallenge, (password) => check(session, 'LOGIN', { login: name, password }))
  if (initial === undefined) challenge(session, usernameChallenge, take)
  else respond(session, initial, take)
}

/** RFC 7628; XOAUTH2 differs in how it is written. */
function bearer(session: CommandSession, mechanism: string, initial: string | undefined): void {
  const take = (text: string) => {
    const claim = mechanism === 'OAUTHBEARER' ? readOauthBearer(text) : readXoauth2(text)
    if (claim) checkToken(session, mechanism, claim)
    else session.protocolError('authDecoding', { detail: `AUTH ${mechanism} without a token` })
  }
  if (initial === undefined) challenge(session, '', take)
  else respond(session, initial, take)
}

function checkToken(session: CommandSession, mechanism: string, { login: claimed, token }: Bearer): void {
  const { policy, logins } = session.receiver
  session.wait(
    logins.tokens.verify(token).then((checked) => {
      const { email } = checked
      const account = email === undefined ? null : findClaimed(policy, mechanism, email)
      // The login that the client names must be the one its token is for.
      const isOther = claimed !== undefined && findClaimed(policy, mechanism, claimed)?.address !== account?.address
      const result = checked.result === 'valid' && (isOther || !account) ? 'invalid' : checked.result
      const because =
        'because' in checked
          ? checked.because
          : isOther
            ? `The token is one of ${email}, not of ${claimed}.`
            : undefined
      const credentials = { login: claimed ?? email ?? '', result, ...(because ? { because } : {}) }
      if (result !== 'invalid') return conclude(session, { mechanism, credentials, account, policy })
      // RFC 7628 §3.2.3: the client reads why, answers with anything, and then comes the refusal.
      session.reply('authContinue', { challenge: refusalChallenge(mechanism) })
      session.awaitResponse(() => conclude(session, { mechanism, credentials, account: null, policy }))
    }),
  )
}

function challenge(session: CommandSession, text: string, take: (response: string) => void): void {
  session.reply('authContinue', { challenge: text })
  session.awaitResponse((line) => respond(session, line, take))
}

function respond(session: CommandSession, line: string, take: (response: string) => void): void {
  if (line === '*') {
    session.protocolError('authCancelled', { detail: 'AUTH cancelled' })
    return
  }
  const text = decodeResponse(line)
  if (text === null) {
    session.protocolError('authDecoding', { detail: 'AUTH response is not base64' })
    return
  }
  take(text)
}

function check(session: CommandSession, mechanism: string, { login: name, password, as }: Login): void {
  const { policy, logins } = session.receiver
  const found = findAccount(policy, name)
  // Nobody may act for another account: the answer, and the time it takes, are those of a wrong password.
  const account = found && as !== undefined && !isNameOf(policy, found, as) ? null : found
  session.wait(
    logins.passwords.verify(account, password, { policy, address: session.facts.ip }).then((result) => {
      conclude(session, { mechanism, credentials: { login: name, result }, account, policy })
    }),
  )
}

type Checked = {
  mechanism: string
  credentials: NonNullable<AuthFacts['credentials']>
  account: Account | null
  policy: Policy
}

function conclude(session: CommandSession, { mechanism, credentials, account, policy }: Checked): void {
  const { login } = credentials
  session.decide(
    'auth',
    { ...session.refresh(), mechanism, credentials },
    {
      under: { policy },
      about: { login, mechanism },
      login: account?.address,
      proceed(_, verdict) {
        if (!account) return
        session.noteRules(verdict)
        session.loggedIn(account.address, mechanism)
        session.reply('authenticated')
      },
    },
  )
}
