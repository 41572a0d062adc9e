import type { Account } from '@postern/contract/directory.ts'
import type { AuthFacts } from '@postern/contract/facts.ts'
import { decideAuth } from '@postern/policy/decide.ts'
import { findAccount, findClaimed, isNameOf } from '@postern/policy/login.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { mechanismName } from '@postern/runtime/logging/mask.ts'
import { type Bearer, readOauthBearer, readXoauth2, refusalChallenge } from '../auth/bearer.ts'
import { decodeResponse, type Login, passwordChallenge, readPlain, usernameChallenge } from '../auth/sasl.ts'
import type { Dialogue } from '../session/context.ts'
import { clientRecord } from '../record/event-fields.ts'
import { countRates, withRates } from '../lookups/rates.ts'
import type { Command } from './command.ts'

/** RFC 4954. */
export const auth: Command = {
  verb: 'AUTH',
  syntax: 'AUTH mechanism',
  afterHello: true,
  argument: 'required',
  longest: 12_288,
  run(dialogue, argument) {
    const { house, facts, transaction } = dialogue
    if (facts.login !== undefined) return dialogue.fault('authTwice', { detail: 'AUTH after a login' })
    if (transaction)
      return dialogue.fault('badSequence', { values: { detail: 'transaction open' }, detail: 'AUTH after MAIL' })
    const [name = '', initial, ...rest] = argument.split(/ +/)
    const mechanism = mechanismName(name)
    if (rest.length > 0)
      return dialogue.fault('argumentError', { values: { detail: 'too many' }, detail: 'AUTH with too many arguments' })
    if (!dialogue.settle(decideAuth({ ...dialogue.refresh(), mechanism }, house.policy))) return
    if (mechanism === 'PLAIN') plain(dialogue, initial)
    else if (mechanism === 'LOGIN') login(dialogue, initial)
    else bearer(dialogue, mechanism, initial)
  },
}

function plain(dialogue: Dialogue, initial: string | undefined): void {
  const take = (text: string) => {
    const credentials = readPlain(text)
    if (credentials) check(dialogue, 'PLAIN', credentials)
    else dialogue.fault('authDecoding', { detail: 'AUTH PLAIN without login and password' })
  }
  if (initial === undefined) challenge(dialogue, '', take)
  else respond(dialogue, initial, take)
}

function login(dialogue: Dialogue, initial: string | undefined): void {
  const take = (name: string) =>
    challenge(dialogue, passwordChallenge, (password) => check(dialogue, 'LOGIN', { login: name, password }))
  if (initial === undefined) challenge(dialogue, usernameChallenge, take)
  else respond(dialogue, initial, take)
}

/** RFC 7628; XOAUTH2 differs in how it is written. */
function bearer(dialogue: Dialogue, mechanism: string, initial: string | undefined): void {
  const take = (text: string) => {
    const said = mechanism === 'OAUTHBEARER' ? readOauthBearer(text) : readXoauth2(text)
    if (said) checkToken(dialogue, mechanism, said)
    else dialogue.fault('authDecoding', { detail: `AUTH ${mechanism} without a token` })
  }
  if (initial === undefined) challenge(dialogue, '', take)
  else respond(dialogue, initial, take)
}

function checkToken(dialogue: Dialogue, mechanism: string, { login: said, token }: Bearer): void {
  const { policy, tokens } = dialogue.house
  dialogue.wait(
    tokens.verify(token).then((checked) => {
      const { email } = checked
      const account = email === undefined ? null : findClaimed(policy, mechanism, email)
      // Who says whom it is must be whose token it is.
      const isOther = said !== undefined && findClaimed(policy, mechanism, said)?.address !== account?.address
      const result = checked.result === 'valid' && (isOther || !account) ? 'invalid' : checked.result
      const because =
        'because' in checked ? checked.because : isOther ? `The token is one of ${email}, not of ${said}.` : undefined
      const credentials = { login: said ?? email ?? '', result, ...(because ? { because } : {}) }
      if (result !== 'invalid') return conclude(dialogue, { mechanism, credentials, account, policy })
      // RFC 7628 §3.2.3: the client reads why, answers with anything, and then comes the refusal.
      dialogue.reply('authContinue', { challenge: refusalChallenge(mechanism) })
      dialogue.expect = () => conclude(dialogue, { mechanism, credentials, account: null, policy })
    }),
  )
}

function challenge(dialogue: Dialogue, text: string, take: (response: string) => void): void {
  dialogue.reply('authContinue', { challenge: text })
  dialogue.expect = (line) => respond(dialogue, line, take)
}

function respond(dialogue: Dialogue, line: string, take: (response: string) => void): void {
  if (line === '*') {
    dialogue.fault('authCancelled', { detail: 'AUTH cancelled' })
    return
  }
  const text = decodeResponse(line)
  if (text === null) {
    dialogue.fault('authDecoding', { detail: 'AUTH response is not base64' })
    return
  }
  take(text)
}

function check(dialogue: Dialogue, mechanism: string, { login: name, password, as }: Login): void {
  const { house } = dialogue
  const { policy } = house
  const found = findAccount(policy, name)
  // Nobody acts for somebody else here: that is answered, in as much time, as a wrong password is.
  const account = found && as !== undefined && !isNameOf(policy, found, as) ? null : found
  dialogue.wait(
    house.credentials.verify(account, password, { policy, address: dialogue.facts.ip }).then((result) => {
      conclude(dialogue, { mechanism, credentials: { login: name, result }, account, policy })
    }),
  )
}

type Checked = {
  mechanism: string
  credentials: NonNullable<AuthFacts['credentials']>
  account: Account | null
  policy: Policy
}

function conclude(dialogue: Dialogue, { mechanism, credentials, account, policy }: Checked): void {
  const { house, facts } = dialogue
  const counting = { policy, rates: house.rates, login: account?.address }
  const known = { ...dialogue.refresh(), mechanism, credentials }
  const asked = withRates(known, 'connections', counting)
  const verdict = decideAuth(dialogue.witness.auth(asked), policy)
  if (!dialogue.settle(verdict, { login: credentials.login, mechanism }) || !account) return
  countRates(facts, 'connections', counting)
  dialogue.mark(verdict)
  facts.login = account.address
  house.counters.auth_succeeded_total++
  house.record('auth.succeeded', { client: clientRecord(facts), login: account.address, mechanism })
  dialogue.reply('authenticated')
}
