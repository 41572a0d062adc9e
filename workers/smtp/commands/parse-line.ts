import type { ReplyName } from '@postern/contract/replies.ts'
import type { ReplyValues } from '@postern/contract/verdict.ts'
import { type Command, plainLine } from './command.ts'
import { trimmed } from './path.ts'
import { commands, notImplemented, otherProtocol } from './table.ts'

/** Parses a line: a command that may be run, or what is wrong with it. Pure; only the protocol's own rules are applied. */
export type ParsedLine =
  | { kind: 'command'; command: Command; argument: string }
  | { kind: 'proxy' }
  | { kind: 'error'; reply: ReplyName; values?: ReplyValues; detail: string; sequence?: true; close?: true }

export function parseLine(text: string, { greeted, afterAuth }: { greeted: boolean; afterAuth: boolean }): ParsedLine {
  const blank = text.indexOf(' ')
  const verb = (blank === -1 ? text : text.slice(0, blank)).toUpperCase()
  const command = commands.get(verb)
  if (!command) {
    const normalized = normalize(text)
    return normalized === text ? unknown(verb, text, afterAuth) : parseLine(normalized, { greeted, afterAuth })
  }
  const argument = blank === -1 ? '' : trimmed(text.slice(blank + 1))
  if (text.length > command.longest - 2) return error('lineTooLong', `a ${verb} line is too long`)
  if (command.argument === 'none' && argument !== '')
    return { ...error('argumentError', `${verb} with an argument`), values: { detail: 'none expected' } }
  if (command.argument === 'required' && argument === '')
    return { ...error('argumentError', `${verb} without an argument`), values: { detail: command.syntax } }
  if (command.afterHello && !greeted) return { ...error('helloRequired', `${verb} before HELO`), sequence: true }
  return { kind: 'command', command, argument }
}

/** Old devices write spaces before the verb and tabs after it. A line of spaces alone is left as it is. */
function normalize(text: string): string {
  return text.replace(/^[ \t]*([A-Za-z]{4,8})(?:[ \t]+|$)/, (_, verb: string) => `${verb} `)
}

function error(reply: ReplyName, detail: string) {
  return { kind: 'error', reply, detail } as const
}

/** `afterAuth`: the client has tried AUTH: after a refusal it may send its password all the same, as the next line. */
function unknown(verb: string, text: string, afterAuth: boolean): ParsedLine {
  if (verb === 'PROXY') return { kind: 'proxy' }
  if (otherProtocol.test(text)) return { ...error('commandUnknown', `another protocol: ${verb}`), close: true }
  if (text.length > plainLine - 2) return error('lineTooLong', 'an unknown command that is too long')
  if (notImplemented.has(verb)) return error('commandNotImplemented', `${verb} is not implemented`)
  const isWord = /^[A-Z][A-Z0-9]{1,11}$/.test(verb)
  const detail = isWord && !afterAuth ? verb : `${text.length} bytes that are no command`
  return error(isWord ? 'commandUnknown' : 'syntaxError', detail)
}
