import type { PosternEvent } from '@postern/contract/events.ts'

/** One sentence for people; also what the full text search looks at. What strangers sent stands in quotes or is cut. */
export function sentenceOf(event: PosternEvent): string {
  switch (event.type) {
    case 'worker.started':
      return `${event.service} ${event.version} started as process ${event.pid}`
    case 'worker.stopped':
      return `${event.service} stopped: ${event.cause}`
    case 'service.state':
      return `${event.service} is ${event.observed}${event.detail ? `: ${event.detail}` : ''}`
    case 'listener.failed':
      return `${event.listener} cannot listen on ${event.address}:${event.port}: ${event.error}`
    case 'policy.applied':
      return `revision ${event.revision} applied in ${event.tookMs} ms`
    case 'policy.refused':
      return `revision ${event.revision} refused, ${event.inForce} stays in force: ${event.error}`
    case 'session.opened':
      return `${event.client.ip} connected to ${event.listener}`
    case 'session.closed':
      return `${event.client.ip} left after ${event.seconds} s and ${event.messages} messages`
    case 'session.dialogue':
      return `${event.client.ip} ${event.from === 'client' ? 'said' : 'was told'}: ${event.text}`
    case 'outbound.dialogue':
      return `${event.remote.host} ${event.from === 'client' ? 'was told' : 'said'}: ${event.text}`
    case 'session.refused':
      return `${event.client.ip} refused by ${event.verdict.rule}: ${event.verdict.reply}`
    case 'session.error':
      return `${event.client.ip}: ${event.reason}, ${event.detail}${event.reply ? `; answered ${event.reply}` : ''}`
    case 'session.watched':
      return `${event.client.ip}: ${event.stage}: ${event.rule} (watched) ${event.because}`
    case 'auth.succeeded':
      return `${event.client.ip} logged in as ${event.login} by ${event.mechanism}`
    case 'auth.failed':
      return `${event.client.ip} failed to log in as "${event.login}": ${event.verdict.reply}`
    case 'address.blocked':
      return `${event.address} is blocked until ${event.expiresAt}: ${event.reason}`
    case 'command.refused':
      return `${event.client.ip} refused by ${event.verdict.rule}: ${event.verdict.reply}; from <${event.sender ?? ''}>${event.recipient === undefined ? '' : ` to <${event.recipient}>`}`
    case 'message.accepted':
      return `from <${event.sender}> to ${someOf(event.recipients.map(({ address }) => address))}, ${event.size} bytes${event.client ? ` from ${event.client.ip}` : ''}${event.subject ? `, "${event.subject}"` : ''}${event.held ? `; held: ${event.held}` : ''}`
    case 'message.authenticated':
      return authenticated(event)
    case 'message.refused':
      return `${event.client.ip} refused by ${event.verdict.rule}: ${event.verdict.reply}; from <${event.sender}> to ${someOf(event.recipients)}, ${event.size} bytes`
    case 'delivery.delivered':
      return `${event.remote.host} took it for ${someOf(event.recipients)}: ${event.reply}`
    case 'delivery.deferred':
      return `${event.remote.host} for ${someOf(event.recipients)}: ${event.reply}; next try ${event.nextTryAt}`
    case 'delivery.bounced':
      return `${event.remote.host} for ${someOf(event.recipients)}: ${event.reply}; returned with ${event.status}`
    case 'message.unsigned':
      return `went out without the signature of ${event.domain}: ${event.detail}`
    case 'tls.unproved':
      return `mail for ${event.domain} went to ${event.host} although ${event.detail}`
    case 'delivery.discarded':
      return `discarded for ${someOf(event.recipients)} by ${event.by}`
    case 'delivery.duplicate':
      return `${event.worker} tells a second outcome for ${someOf(event.recipients)}`
    case 'message.held':
      return `held by ${event.by}${event.reason ? `: ${event.reason}` : ''}`
    case 'message.released':
      return `released by ${event.by}`
    case 'message.rerouted':
      return `rerouted to ${event.to} by ${event.by}`
    case 'message.damaged':
      return `damaged in ${event.where}: ${event.detail}`
    case 'dsn.written':
      return `${event.action} notification about ${event.about}`
    case 'order.done':
      return `${event.action} carried out on ${event.matched} messages`
    case 'hook.failed':
      return `${event.hook} at ${event.host} failed ${event.failures} times: ${event.detail}`
    case 'certificate.expiring':
      return event.daysLeft < 0
        ? `certificate ${event.name} for ${event.names.join(', ')} has expired at ${event.notAfter}`
        : `certificate ${event.name} for ${event.names.join(', ')} expires in ${event.daysLeft} days, at ${event.notAfter}`
    case 'certificate.issued':
      return `certificate ${event.name} for ${event.names.join(', ')} was issued by ${event.issuer}, valid until ${event.notAfter}`
    case 'certificate.failed':
      return `certificate ${event.name} for ${event.names.join(', ')} was not issued: ${event.error}; next try ${event.nextTryAt}`
    case 'spool.full':
      return `the spool has ${event.freeBytes} bytes free, of which ${event.reserveBytes} are kept in reserve`
    case 'log.dropped':
      return `${event.count} records dropped: ${event.because}`
  }
}

function someOf(addresses: readonly string[]): string {
  const some = addresses.slice(0, 20).map((address) => `<${address}>`)
  return addresses.length > 20 ? `${some.join(', ')} and ${addresses.length - 20} more` : some.join(', ')
}

function authenticated({ spf, dkim, dmarc, forged }: Extract<PosternEvent, { type: 'message.authenticated' }>): string {
  const said = [
    ...(spf ? [`SPF ${spf.result} for ${spf.domain}`] : []),
    ...(dkim ?? []).map(({ result, domain }) => `DKIM ${result}${domain ? ` by ${domain}` : ''}`),
    ...(dmarc ? [`DMARC ${dmarc.result} for ${dmarc.domain}, policy ${dmarc.policy}`] : []),
    ...(forged ? [`${forged} forged Authentication-Results taken out`] : []),
  ]
  return said.join('; ') || 'nothing found out about its sender'
}
