import { randomBytes } from 'node:crypto'
import {
  type ApplicationQuestion,
  applicationAnswerSchema,
  maxAnswered,
} from '@postern/contract/delivery-application.ts'
import type { Lookups } from '@postern/contract/lookups.ts'
import type { AdvancedSettings } from '@postern/contract/settings.ts'
import { Breaker } from '@postern/net/circuit-breaker.ts'
import { HookFailure } from '@postern/net/http/hook-failure.ts'
import type { Answer, Poster } from '@postern/net/http/post.ts'
import { digestOf, sign, signatureHeader } from '@postern/net/http/signature.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'

/** The client of the delivery application: one signed request a message, and a strict reading of its answer. */

export type ApplicationSetting = Exclude<AdvancedSettings['deliveryApplication'], 'off'>
export type ApplicationLookups = Pick<Lookups, 'application' | 'applicationTrouble'>

type Message = { question: ApplicationQuestion; body: () => AsyncIterable<Buffer> }

const reportEveryMs = 60_000

export class Application {
  readonly #poster: Poster
  readonly #record: RecordEvent
  /** One for each URL: a new URL does not inherit the failures of the one before. */
  #breaker: { url: string; breaker: Breaker } | undefined
  #reported = { at: Number.NEGATIVE_INFINITY, failures: 0 }

  constructor(poster: Poster, record: RecordEvent) {
    this.#poster = poster
    this.#record = record
  }

  /** An application that fails is `not-known`, with the reason. Rejects only when the message cannot be read. */
  async ask(setting: ApplicationSetting, message: Message): Promise<ApplicationLookups> {
    const breaker = this.#breakerFor(setting.url)
    if (!breaker.mayAsk()) return unknown('it failed several times in a row and is not asked for a few seconds')
    try {
      const application = readAnswer(await this.#send(setting, message))
      breaker.worked()
      return { application }
    } catch (error) {
      breaker.failed()
      if (!(error instanceof HookFailure)) throw error
      this.#report(setting.url, error)
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

  /** One event a minute is enough: the trail of each message tells it as well. */
  #report(url: string, { message }: HookFailure): void {
    this.#reported.failures++
    if (performance.now() < this.#reported.at + reportEveryMs) return
    this.#record('hook.failed', {
      hook: 'delivery-application',
      host: new URL(url).host,
      detail: message,
      failures: this.#reported.failures,
    })
    this.#reported = { at: performance.now(), failures: 0 }
  }
}

function unknown(trouble: string): ApplicationLookups {
  return { application: 'not-known', applicationTrouble: trouble.slice(0, 300) }
}

/** The parts of the form before and after the message (RFC 7578). */
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

/** Throws a HookFailure for anything but a valid answer. */
function readAnswer({ status, headers, body }: Answer): Exclude<ApplicationLookups['application'], 'not-known'> {
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
