import type { ReplyOf } from '@postern/contract/rules.ts'
import { entryAt, findEntry, keyOfText } from '../directory.ts'
import { expand } from '../expand.ts'
import type { Target } from '../path.ts'
import type { Policy } from '../policy.ts'
import { answer, type Decision, type RuleCheck, refuse } from '../rule.ts'

/** Answers VRFY (RFC 5321 §3.5.3). Never proceeds without an answer. */
export const vrfy: RuleCheck<'vrfy'> = ({ facts, target }, policy) => {
  if (policy.settings.security.disableVrfy) return answer(unconfirmed, 'security.disableVrfy is on.')
  if (target.kind === 'remote') return answer(unconfirmed, `${target.address.domain} is not a local domain.`)
  if (target.kind === 'unreadable') return refuse(unknown, `"${facts.argument}" is not an address.`)
  return verified(target, policy)
}

const unconfirmed = [{ reply: 'vrfyUnconfirmed' }] as const
const unknown = { reply: 'vrfyUnknown' } as const

function verified(target: Extract<Target, { kind: 'local' }>, policy: Policy): Decision<ReplyOf<'vrfy'>> {
  const { directory, settings } = policy
  const asked = `${target.local}@${target.domain}`
  const entry = findEntry(directory, target, settings.advanced.mailboxDelimiter)
  if (entry) {
    // RCPT refuses an alias that leads nowhere, so VRFY does too.
    const expansion = expand(target, asked, policy)
    if (expansion.kind !== 'found') return refuse(unknown, expansion.because)
    const [to, ...more] = entry.kind === 'alias' ? entry.alias.to : []
    if (to === undefined || more.length > 0 || isLocal(policy, to))
      return answer([{ reply: 'vrfyLocal', values: { address: entry.key } }], `${entry.key} is ${article[entry.kind]}.`)
    return answer([{ reply: 'vrfyForwarded', values: { address: to } }], `${entry.key} is an alias of ${to}.`)
  }
  // Answers as RCPT would, as far as is known without a callout.
  const expansion = expand(target, asked, policy)
  if (expansion.kind !== 'found') return refuse(unknown, `${asked} is unknown in the directory.`)
  if (target.postmaster)
    return answer([{ reply: 'vrfyLocal', values: { address: asked } }], 'postmaster always exists.')
  return answer(unconfirmed, `${asked} is unknown here, but its mail is accepted.`)
}

const article = { alias: 'an alias', group: 'a group', account: 'an account' } as const

function isLocal({ directory }: Policy, address: string): boolean {
  return (
    entryAt(directory, keyOfText(directory, address)) !== null ||
    directory.domains.has(address.slice(address.lastIndexOf('@') + 1))
  )
}
