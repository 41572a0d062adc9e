import { decideAuth } from '@postern/policy/decide.ts'
import { findAccount } from '@postern/policy/login.ts'
import { decodeResponse, type Login, passwordChallenge, readPlain, usernameChallenge } from '../auth/sasl.ts'
import type { Dialogue } from '../dialogue.ts'
import { clientRecord } from '../happenings.ts'
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
    const [name = '', initial, ...rest] = argument.split(' ')
    const mechanism = name.toUpperCase().slice(0, 40)
    if (rest.length > 0)
      return dialogue.fault('argumentError', { values: { detail: 'too many' }, detail: 'AUTH with too many arguments' })
    if (!dialogue.settle(decideAuth({ ...dialogue.refresh(), mechanism }, house.policy))) return
    if (mechanism === 'PLAIN') plain(dialogue, initial)
    else login(dialogue, initial)
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

function check(dialogue: Dialogue, mechanism: string, { login: name, password }: Login): void {
  const { house, facts } = dialogue
  const { policy } = house
  const account = findAccount(policy, name)
  dialogue.wait(
    house.credentials.verify(account, password, policy).then((result) => {
      const asked = { ...dialogue.refresh(), mechanism, credentials: { login: name, result } }
      const verdict = decideAuth(dialogue.witness.auth(asked), policy)
      if (!dialogue.settle(verdict, { login: name, mechanism }) || !account) return
      facts.login = account.address
      house.counters.auth_succeeded_total++
      house.record('auth.succeeded', { client: clientRecord(facts), login: account.address, mechanism })
      dialogue.reply('authenticated')
    }),
  )
}
