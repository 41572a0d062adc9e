import type { Account } from '@postern/contract/directory.ts'
import type { AuthFacts } from '@postern/contract/facts.ts'
import { decideAuth } from '@postern/policy/decide.ts'
import { findAccount, findClaimed, isNameOf } from '@postern/policy/login.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { mechanismName } from '@postern/runtime/logging/mask.ts'
import { type Bearer, readOauthBearer, readXoauth2, refusalChallenge } from '../auth/bearer.ts'
import { decodeResponse, type Login, passwordChallenge, readPlain, usernameChallenge } from '../auth/sasl.ts'
import { countRates, withRates } from '../lookups/rates.ts'
import { clientRecord } from '../record/event-fields.ts'
import type { SessionContext } from '../session/context.ts'
import type { Command } from './command.ts'

/** RFC 4954. */
export const auth: Command = {
  verb: 'AUTH',
  syntax: 'AUTH mechanism',
  afterHello: true,
  argument: 'required',
  longest: 12_288,
  run(session, argument) {
    const { receiver, facts, transaction } = session
    if (facts.login !== undefined) return session.fault('authTwice', { detail: 'AUTH after a login' })
    if (transaction)
      return session.fault('badSequence', { values: { detail: 'transaction open' }, detail: 'AUTH after MAIL' })
    const [name = '', initial, ...rest] = argument.split(/ +/)
    const mechanism = mechanismName(name)
    if (rest.length > 0)
      return session.fault('argumentError', { values: { detail: 'too many' }, detail: 'AUTH with too many arguments' })
    if (!session.settle(decideAuth({ ...session.refresh(), mechanism }, receiver.policy))) return
    if (mechanism === 'PLAIN') plain(session, initial)
    else if (mechanism === 'LOGIN') login(session, initial)
    else bearer(session, mechanism, initial)
  },
}

function plain(session: SessionContext, initial: string | undefined): void {
  const take = (text: string) => {
    const credentials = readPlain(text)
    if (credentials) check(session, 'PLAIN', credentials)
    else session.fault('authDecoding', { detail: 'AUTH PLAIN without login and password' })
  }
  if (initial === undefined) challenge(session, '', take)
  else respond(session, initial, take)
}

function login(session: SessionContext, initial: string | undefined): void {
  const take = (name: string) =>
    challenge(session, passwordChallenge, (password) => check(session, 'LOGIN', { login: name, password }))
  if (initial === undefined) challenge(session, usernameChallenge, take)
  else respond(session, initial, take)
}

/** RFC 7628; XOAUTH2 differs in how it is written. */
function bearer(session: SessionContext, mechanism: string, initial: string | undefined): void {
  const take = (text: string) => {
    const said = mechanism === 'OAUTHBEARER' ? readOauthBearer(text) : readXoauth2(text)
    if (said) checkToken(session, mechanism, said)
    else session.fault('authDecoding', { detail: `AUTH ${mechanism} without a token` })
  }
  if (initial === undefined) challenge(session, '', take)
  else respond(session, initial, take)
}

function checkToken(session: SessionContext, mechanism: string, { login: said, token }: Bearer): void {
  const { policy, tokens } = session.receiver
  session.wait(
    tokens.verify(token).then((checked) => {
      const { email } = checked
      const account = email === undefined ? null : findClaimed(policy, mechanism, email)
      // Who says whom it is must be whose token it is.
      const isOther = said !== undefined && findClaimed(policy, mechanism, said)?.address !== account?.address
      const result = checked.result === 'valid' && (isOther || !account) ? 'invalid' : checked.result
      const because =
        'because' in checked ? checked.because : isOther ? `The token is one of ${email}, not of ${said}.` : undefined
      const credentials = { login: said ?? email ?? '', result, ...(because ? { because } : {}) }
      if (result !== 'invalid') return conclude(session, { mechanism, credentials, account, policy })
      // RFC 7628 §3.2.3: the client reads why, answers with anything, and then comes the refusal.
      session.reply('authContinue', { challenge: refusalChallenge(mechanism) })
      session.expect = () => conclude(session, { mechanism, credentials, account: null, policy })
    }),
  )
}

function challenge(session: SessionContext, text: string, take: (response: string) => void): void {
  session.reply('authContinue', { challenge: text })
  session.expect = (line) => respond(session, line, take)
}

function respond(session: SessionContext, line: string, take: (response: string) => void): void {
  if (line === '*') {
    session.fault('authCancelled', { detail: 'AUTH cancelled' })
    return
  }
  const text = decodeResponse(line)
  if (text === null) {
    session.fault('authDecoding', { detail: 'AUTH response is not base64' })
    return
  }
  take(text)
}

function check(session: SessionContext, mechanism: string, { login: name, password, as }: Login): void {
  const { receiver } = session
  const { policy } = receiver
  const found = findAccount(policy, name)
  // Nobody acts for somebody else here: that is answered, in as much time, as a wrong password is.
  const account = found && as !== undefined && !isNameOf(policy, found, as) ? null : found
  session.wait(
    receiver.credentials.verify(account, password, { policy, address: session.facts.ip }).then((result) => {
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

function conclude(session: SessionContext, { mechanism, credentials, account, policy }: Checked): void {
  const { receiver, facts } = session
  const counting = { policy, rates: receiver.rates, login: account?.address }
  const known = { ...session.refresh(), mechanism, credentials }
  const asked = withRates(known, 'connections', counting)
  const verdict = decideAuth(session.recorder.auth(asked), policy)
  if (!session.settle(verdict, { login: credentials.login, mechanism }) || !account) return
  countRates(facts, 'connections', counting)
  session.mark(verdict)
  facts.login = account.address
  receiver.counters.auth_succeeded_total++
  receiver.record('auth.succeeded', { client: clientRecord(facts), login: account.address, mechanism })
  session.reply('authenticated')
}
