import type { ReplyName } from '@postern/contract/replies.ts'
import type { ReplyValues } from '@postern/contract/verdict.ts'
import { type Command, plainLine } from './command.ts'
import { trimmed } from './path.ts'
import { commands, notImplemented, otherProtocol } from './table.ts'

/** What a line is: a command that may be run, or what is wrong with it. Pure; nothing but the protocol is looked at. */
export type Understood =
  | { kind: 'command'; command: Command; argument: string }
  | { kind: 'proxy' }
  | { kind: 'fault'; reply: ReplyName; values?: ReplyValues; detail: string; sequence?: true; end?: true }

export function understand(text: string, { greeted, secretive }: { greeted: boolean; secretive: boolean }): Understood {
  const blank = text.indexOf(' ')
  const verb = (blank === -1 ? text : text.slice(0, blank)).toUpperCase()
  const command = commands.get(verb)
  if (!command) {
    const tidied = tidy(text)
    return tidied === text ? unknown(verb, text, secretive) : understand(tidied, { greeted, secretive })
  }
  const argument = blank === -1 ? '' : trimmed(text.slice(blank + 1))
  if (text.length > command.longest - 2) return fault('lineTooLong', `a ${verb} line is too long`)
  if (command.argument === 'none' && argument !== '')
    return { ...fault('argumentError', `${verb} with an argument`), values: { detail: 'none expected' } }
  if (command.argument === 'required' && argument === '')
    return { ...fault('argumentError', `${verb} without an argument`), values: { detail: command.syntax } }
  if (command.afterHello && !greeted) return { ...fault('helloRequired', `${verb} before HELO`), sequence: true }
  return { kind: 'command', command, argument }
}

/** Blanks before the verb, and a tab after it: old devices write them. A line of blanks alone stays what it is. */
function tidy(text: string): string {
  return text.replace(/^[ \t]*([A-Za-z]{4,8})(?:[ \t]+|$)/, (_, verb: string) => `${verb} `)
}

function fault(reply: ReplyName, detail: string) {
  return { kind: 'fault', reply, detail } as const
}

/** `secretive`: a client whose AUTH was refused may send its password all the same, as the next line. */
function unknown(verb: string, text: string, secretive: boolean): Understood {
  if (verb === 'PROXY') return { kind: 'proxy' }
  if (otherProtocol.test(text)) return { ...fault('commandUnknown', `another protocol: ${verb}`), end: true }
  if (text.length > plainLine - 2) return fault('lineTooLong', 'an unknown command that is too long')
  if (notImplemented.has(verb)) return fault('commandNotImplemented', `${verb} is not implemented`)
  const isWord = /^[A-Z][A-Z0-9]{1,11}$/.test(verb)
  const detail = isWord && !secretive ? verb : `${text.length} octets that are no command`
  return fault(isWord ? 'commandUnknown' : 'syntaxError', detail)
}
