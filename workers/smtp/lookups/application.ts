import { randomBytes } from 'node:crypto'
import { type ApplicationQuestion, applicationAnswerSchema, maxAnswered } from '@postern/contract/application.ts'
import type { Lookups } from '@postern/contract/lookups.ts'
import type { AdvancedSettings } from '@postern/contract/settings.ts'
import { Breaker } from '@postern/net/circuit-breaker.ts'
import { HookFailure } from '@postern/net/http/failure.ts'
import type { Answer, Poster } from '@postern/net/http/post.ts'
import { digestOf, sign, signatureHeader } from '@postern/net/http/signature.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'

/** The delivery application as the receiver asks it: one signed request a message, its answer read strictly. */

export type ApplicationSetting = Exclude<AdvancedSettings['deliveryApplication'], 'off'>
export type Asked = Pick<Lookups, 'application' | 'applicationTrouble'>

type Message = { question: ApplicationQuestion; body: () => AsyncIterable<Buffer> }

const toldEveryMs = 60_000

export class Application {
  readonly #poster: Poster
  readonly #record: RecordEvent
  /** One an URL: a new URL is not held responsible for the failures of the one before. */
  #breaker: { url: string; breaker: Breaker } | undefined
  #told = { at: 0, failures: 0 }

  constructor(poster: Poster, record: RecordEvent) {
    this.#poster = poster
    this.#record = record
  }

  /** Never rejects for what the application does: that is `not-known` with the reason. Rejects when the message cannot be read. */
  async ask(setting: ApplicationSetting, message: Message): Promise<Asked> {
    const breaker = this.#breakerFor(setting.url)
    if (!breaker.mayAsk()) return unknown('it failed several times in a row and is left alone for a few seconds')
    try {
      const application = readAnswer(await this.#send(setting, message))
      breaker.worked()
      return { application }
    } catch (error) {
      breaker.failed()
      if (!(error instanceof HookFailure)) throw error
      this.#tell(setting.url, error)
      return unknown(error.message)
    }
  }

  #breakerFor(url: string): Breaker {
    if (this.#breaker?.url !== url) this.#breaker = { url, breaker: new Breaker() }
    return this.#breaker.breaker
  }

  async #send({ url, secret, timeoutSeconds }: ApplicationSetting, { question, body }: Message): Promise<Answer> {
    const { head, tail, contentType } = formAround(question)
    const whole = async function* () {
      yield head
      yield* body()
      yield tail
    }
    const headers: { [name: string]: string } = {
      'content-type': contentType,
      accept: 'application/json',
      'postern-message-id': question.id,
    }
    if (secret !== undefined) headers[signatureHeader] = sign(secret, Date.now(), await digestOf(whole()))
    const length = head.length + question.size + tail.length
    return this.#poster.post({
      url,
      headers,
      length,
      body: whole,
      timeoutMs: timeoutSeconds * 1000,
      maxAnswer: maxAnswered,
    })
  }

  /** Once a minute is enough: each message says it in its own trail. */
  #tell(url: string, { message }: HookFailure): void {
    this.#told.failures++
    if (Date.now() < this.#told.at + toldEveryMs) return
    this.#record('hook.failed', {
      hook: 'delivery-application',
      host: new URL(url).host,
      detail: message,
      failures: this.#told.failures,
    })
    this.#told = { at: Date.now(), failures: 0 }
  }
}

function unknown(trouble: string): Asked {
  return { application: 'not-known', applicationTrouble: trouble.slice(0, 300) }
}

/** What stands before and behind the message in the form (RFC 7578). */
function formAround(question: ApplicationQuestion): { head: Buffer; tail: Buffer; contentType: string } {
  const boundary = `postern-${randomBytes(18).toString('hex')}`
  const head = [
    `--${boundary}`,
    'Content-Disposition: form-data; name="envelope"',
    'Content-Type: application/json',
    '',
    JSON.stringify(question),
    `--${boundary}`,
    'Content-Disposition: form-data; name="message"; filename="message.eml"',
    'Content-Type: message/rfc822',
    '',
    '',
  ]
  return {
    head: Buffer.from(head.join('\r\n')),
    tail: Buffer.from(`\r\n--${boundary}--\r\n`),
    contentType: `multipart/form-data; boundary=${boundary}`,
  }
}

/** Throws a HookFailure for whatever is not plainly an answer. */
function readAnswer({ status, headers, body }: Answer): Exclude<Asked['application'], 'not-known'> {
  if (status !== 200) throw new HookFailure('nonsense', `it answered with status ${status} instead of 200`)
  if (!/^application\/json\b/i.test(headers['content-type'] ?? ''))
    throw new HookFailure('nonsense', 'its answer is not application/json')
  const read = applicationAnswerSchema.safeParse(parsed(body))
  if (!read.success) {
    const [issue] = read.error.issues
    throw new HookFailure('nonsense', `its answer is wrong: ${issue?.path.join('.') || 'the whole'} ${issue?.message}`)
  }
  const { data } = read
  return {
    action: data.action,
    ...('reason' in data && data.reason !== undefined ? { reason: data.reason } : {}),
    ...('headers' in data ? { headers: [...data.headers] } : {}),
    ...('to' in data ? { redirectTo: data.to } : {}),
  }
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw new HookFailure('nonsense', 'its answer is not JSON')
  }
}
