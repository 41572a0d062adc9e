import { spawn } from 'node:child_process'

export type SmtpSourceOptions = {
  host: string
  port: number
  sessions: number
  messages: number
  /** Of the body, without the headers it writes (about 140). */
  bytes: number
  /** Several messages on one connection; false: one message per connection. */
  reuse: boolean
  /** A complete message to send instead of a generated one. Lines end in LF here. */
  file?: string
  from?: string
  to?: string
  /** A different local part for each message: `1user@…`, `2user@…`. */
  distinctRecipients?: boolean
  /** Go on when a reply is not the expected one. */
  goOn?: boolean
}

export type SmtpSourceRun = {
  /** From its start to its end, in milliseconds. */
  elapsedMs: number
  perSecond: number
  /** Its error output. Empty if there was none. */
  complaints: string
}

/** Postfix's smtp-source(1): sends messages as fast as possible, without pipelining. Rejects if it gives up. */
export function runSmtpSource(options: SmtpSourceOptions): Promise<SmtpSourceRun> {
  const args = [
    ...['-s', String(options.sessions), '-m', String(options.messages)],
    ...(options.file ? ['-F', options.file] : ['-l', String(options.bytes)]),
    ...['-f', options.from ?? 'source@load.test', '-t', options.to ?? 'sink@load.test', '-M', 'source.test'],
    ...(options.reuse ? ['-d'] : []),
    ...(options.distinctRecipients ? ['-N'] : []),
    ...(options.goOn ? ['-A'] : []),
    `[${options.host}]:${options.port}`,
  ]
  return new Promise((resolve, reject) => {
    const start = performance.now()
    const child = spawn('/usr/sbin/smtp-source', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let complaints = ''
    child.stderr.on('data', (chunk) => {
      complaints += chunk
    })
    const end = () => child.kill('SIGKILL')
    process.once('exit', end)
    child.once('error', reject)
    child.once('close', (code) => {
      process.off('exit', end)
      const elapsedMs = performance.now() - start
      if (code === 0) resolve({ elapsedMs, perSecond: (options.messages * 1000) / elapsedMs, complaints })
      else reject(new Error(`smtp-source ended with ${code}: ${complaints.slice(0, 2000)}`))
    })
  })
}
