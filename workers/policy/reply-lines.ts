import { hostNameOf } from '@postern/contract/host-name.ts'
import { fillReply, type ReplyName } from '@postern/contract/replies.ts'
import type { ReplyValues } from '@postern/contract/verdict.ts'
import type { Policy } from './policy.ts'
import type { Step } from './simulate-session.ts'

/** Returns the reply lines for a verdict: if it proceeds, the command's success reply. One line each, without CRLF. */
export function replyLinesOf(
  { verdict, about = '' }: Step,
  { policy, machine }: { policy: Policy; machine: string },
): string[] {
  const { outcome, stage } = verdict
  if (outcome.kind === 'refuse') return [line(outcome.reply, outcome.values)]
  if (outcome.kind === 'answer') return outcome.replies.map(({ reply, values }) => line(reply, values))
  const hostname = hostNameOf(policy.settings.general.hostname, machine)
  switch (stage) {
    case 'connect':
      return [line('banner', { hostname, message: policy.settings.advanced.helloMessage || 'ESMTP Postern' })]
    case 'hello':
      return [line('hello', { hostname, client: about })]
    case 'auth':
      return [line('authenticated')]
    case 'mail':
      return [line('senderOk')]
    case 'rcpt':
      return [line('recipientOk')]
    case 'data':
      return [line('accepted', { id: '(its id)' })]
    default:
      return []
  }
}

function line(name: ReplyName, values?: ReplyValues): string {
  const { code, enhanced, text } = fillReply(name, values)
  return `${code} ${enhanced ? `${enhanced} ` : ''}${text}`
}
