import { cutFields } from '@postern/contract/event-lengths.ts'
import type { EventFields, EventType } from '@postern/contract/events.ts'
import {
  classicLines,
  isLogged,
  isOperational,
  jsonLine,
  type Logged,
  levelOf,
  severityOf,
} from '@postern/contract/log-lines.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import { defaultSettings, type LoggingSettings } from '@postern/contract/settings.ts'
import type { EventLog } from '../event-log.ts'
import { LogServerSink } from './log-server.ts'
import type { Sink } from './sink.ts'
import { syslogSink } from './syslog.ts'

export type LoggingOptions = {
  worker: string
  service: ServiceName
  events: Pick<EventLog, 'keep' | 'unsent'>
  /** `/dev/log` or another socket, or `host:port`. */
  syslog: string
  /** Reports an unreachable log in the operator's own output. */
  failed: (why: string) => void
}

/** How often losses are summarised in an event. */
const countEveryMs = 5_000
const graceMs = 2_000
const complainEveryMs = 60_000
/** With this many events waiting for storage, dialogue lines are counted but not kept. */
const maxDialogueWaiting = 50_000

/**
 * All events pass through here. Each goes to the operational record, independent of the settings, because queue, books
 * and traces need it. The `logging` settings decide whether and where it is logged, and apply at once, without a
 * restart. Nothing here waits: a slow or unreachable log loses lines, which are counted, but never delays mail.
 */
export class Logging {
  readonly #options: LoggingOptions
  #settings: LoggingSettings = defaultSettings().logging
  #sink: Sink | undefined
  #sinkIs = ''
  #closing: Promise<void> = Promise.resolve()
  #dropped = 0
  #written = 0
  #dialogueDropped = 0
  #complainAfter = 0
  readonly #timer: NodeJS.Timeout

  constructor(parts: LoggingOptions) {
    this.#options = parts
    this.#timer = setInterval(() => this.#countDropped(), countEveryMs)
    this.#timer.unref()
  }

  /** Applies new settings. A destination that does not change keeps its connection. */
  take(settings: LoggingSettings | undefined): void {
    if (!settings) return
    this.#settings = settings
    const { destination, logServer } = settings
    const wanted = destination === 'logServer' && logServer !== 'off' ? JSON.stringify(logServer) : destination
    if (wanted === this.#sinkIs) return
    this.#sinkIs = wanted
    this.#letGo()
    if (destination === 'syslog') this.#sink = syslogSink(this.#options.syslog, this.#failed)
    if (destination === 'logServer' && logServer !== 'off') this.#sink = new LogServerSink(logServer, this.#failed)
  }

  #failed = (why: string): void => {
    const now = performance.now()
    if (now < this.#complainAfter) return
    this.#complainAfter = now + complainEveryMs
    this.#options.failed(why)
  }

  /** Returns whether an event of this type would be logged. Check this before creating a costly one. */
  wants = (type: EventType): boolean => this.#settings.destination !== 'none' && isLogged(type, this.#settings.level)

  record = <T extends EventType>(type: T, given: EventFields<T>): void => {
    const fields = cutFields(type, given)
    const { destination, level } = this.#settings
    const logged = destination !== 'none' && isLogged(type, level)
    const at = new Date().toISOString()
    // A log that lost lines reports it in storage, where operators look, whatever the log's destination.
    const inStorage = type === 'log.dropped' || (logged && destination === 'storage')
    if (levelOf(type) === 'normal') {
      if (inStorage || isOperational(type)) this.#options.events.keep(type, fields, inStorage, at)
    } else if (inStorage) this.#keepDialogue(type, fields, at)
    // Do not report lost lines to the log that loses them.
    if (logged && this.#sink && type !== 'log.dropped')
      this.#send({ ...fields, type, at, worker: this.#options.worker })
  }

  #keepDialogue<T extends EventType>(type: T, fields: EventFields<T>, at: string): void {
    const { events } = this.#options
    if (events.unsent > maxDialogueWaiting) this.#dialogueDropped++
    else events.keep(type, fields, true, at)
  }

  #send(event: Logged): void {
    const severity = severityOf(event)
    const { worker: app, service } = this.#options
    const texts = this.#settings.format === 'classic' ? classicLines(event, service) : [jsonLine(event)]
    for (const text of texts) this.#sink?.write({ at: event.at, severity, id: event.type, app, text })
    this.#written += texts.length
  }

  #countDropped(sink = this.#sink): void {
    const { count = 0, because = '' } = sink?.takeDropped() ?? {}
    const waiting = this.#dialogueDropped
    this.#dialogueDropped = 0
    this.#dropped += count + waiting
    if (count > 0) this.record('log.dropped', { count, because })
    if (waiting > 0)
      this.record('log.dropped', { count: waiting, because: 'dialogue lines arrive faster than storage accepts them' })
  }

  /** Metrics for the worker's report. */
  get metrics(): { log_lines_total: number; log_lines_dropped_total: number } {
    return { log_lines_total: this.#written, log_lines_dropped_total: this.#dropped }
  }

  /** Why the log cannot be reached now. */
  get trouble(): string | undefined {
    return this.#sink?.trouble()
  }

  #letGo(): void {
    const sink = this.#sink
    this.#sink = undefined
    if (!sink) return
    this.#closing = Promise.all([this.#closing, sink.close(graceMs)]).then(() => this.#countDropped(sink))
  }

  /** Gives waiting lines a short time to be sent. Later events are not sent. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#letGo()
    await this.#closing
  }
}
