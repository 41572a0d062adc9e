import { hostPattern, parseAddress } from '@postern/contract/network.ts'
import { type Questions, type RuleRow, refuse } from '../rule.ts'

/** RFC 5321 §4.1.1.1: a host name or an address literal. A final dot and underscores are let through: real clients send them. */
export const helloSyntax: RuleRow<Questions['hello']> = {
  name: 'hello-syntax',
  ask({ verb, argument }) {
    if (isHostName(argument) || isLiteral(argument)) return 'pass'
    return refuse(
      { reply: 'helloSyntax', reason: 'bad-syntax' },
      `${verb} "${argument}" names neither a host nor an address literal.`,
    )
  },
}

function isHostName(argument: string): boolean {
  return hostPattern.test(argument.endsWith('.') ? argument.slice(0, -1) : argument)
}

function isLiteral(argument: string): boolean {
  return argument.startsWith('[') && argument.endsWith(']') && parseAddress(argument) !== null
}
