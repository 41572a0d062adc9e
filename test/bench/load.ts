import { connect, type Socket } from 'node:net'
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * A steady load for what smtp-source cannot do: a chosen rate, an id in every message, and a record of the server's
 * reply to each. It pipelines the envelope and waits for the reply to each end of data.
 */

export type LoadOptions = {
  host: string
  port: number
  /** The client's address. */
  from?: string
  sessions: number
  /** Approximate size of the content. */
  bytes: number
  /** Rate of all sessions together. Default: as fast as possible. */
  perSecond?: number
  /** Each id is this prefix and a number. */
  prefix: string
  /** The domain of the recipients, `<id>@<domain>`; or one address for all. */
  to: { domain: string } | { address: string }
  /** What a lost session does: connects again, or gives up. */
  afterLoss: 'reconnect' | 'give up'
  /** Takes each id that got 250, so that a long load keeps none. Without it they are kept in `Load.accepted`. */
  onAccepted?: (id: string) => void
}

export type Load = {
  /** Ids that got 250 at the end of data: the server has promised to deliver them. */
  readonly accepted: Set<string>
  /** Ids in doubt: the connection ended before the reply. */
  readonly unanswered: Set<string>
  /** Unexpected replies, with their number. */
  readonly refused: Map<string, number>
  /** Sessions that the server ended, and attempts to connect that failed. */
  readonly dropped: number
  /** End of data sent → reply read, in microseconds. It takes the same memory for any number of them. */
  readonly latencies: RecordableHistogram
  /** Resolves when each session has finished its message and said QUIT. */
  stop(): Promise<void>
}

/** The name of the header that carries the id; the last line of the body repeats it, so that a cut message shows. */
export const idHeader = 'X-Load-Id'

/** Returns the id of a complete message. Returns undefined if it is not from this load or was cut. */
export function idOf(content: string): string | undefined {
  const id = new RegExp(`^${idHeader}: (\\S+)\\r$`, 'm').exec(content)?.[1]
  return id && content.endsWith(`\r\nend ${id}\r\n`) ? id : undefined
}

const pauseAfterLossMs = 20

export function startLoad(options: LoadOptions): Load {
  const accepted = new Set<string>()
  const accept = options.onAccepted ?? ((id: string) => void accepted.add(id))
  const unanswered = new Set<string>()
  const refused = new Map<string, number>()
  const latencies = createHistogram({ figures: 3 })
  let dropped = 0
  let stopping = false
  let sent = 0
  let start = performance.now()

  /** Resolves with the next id when it is due, or with undefined when the load ends. */
  const nextId = async (): Promise<string | undefined> => {
    const number = sent++
    if (options.perSecond) {
      const due = start + (number * 1000) / options.perSecond
      const early = due - performance.now()
      // Do not make up for a pause with one burst.
      if (early < -1000) start -= early
      if (early > 1) await sleep(early)
    }
    return stopping ? undefined : `${options.prefix}${number}`
  }

  const one = async (session: LoadSession, id: string) => {
    const envelope = [`MAIL FROM:<load@load.test>`, `RCPT TO:<${recipientOf(id, options.to)}>`, 'DATA']
    const replies = await session.ask(`${envelope.join('\r\n')}\r\n`, 3)
    const wrong = replies.find((reply, step) => !reply.startsWith(step === 2 ? '354' : '250'))
    if (wrong !== undefined) {
      refused.set(wrong, (refused.get(wrong) ?? 0) + 1)
      await session.ask('RSET\r\n', 1)
      return
    }
    unanswered.add(id)
    const sentAt = performance.now()
    const [reply = ''] = await session.ask(contentOf(id, options.bytes), 1)
    unanswered.delete(id)
    latencies.record(Math.max(1, Math.round((performance.now() - sentAt) * 1000)))
    if (reply.startsWith('250')) accept(id)
    else refused.set(reply, (refused.get(reply) ?? 0) + 1)
  }

  const runSession = async () => {
    while (!stopping) {
      try {
        const session = await LoadSession.open(options)
        for (let id = await nextId(); id !== undefined; id = await nextId()) await one(session, id)
        await session.quit()
      } catch {
        dropped += 1
        if (options.afterLoss === 'give up') return
        await sleep(pauseAfterLossMs)
      }
    }
  }

  const ended = Promise.all(Array.from({ length: options.sessions }, runSession))
  return {
    accepted,
    unanswered,
    refused,
    latencies,
    get dropped() {
      return dropped
    },
    stop: async () => {
      stopping = true
      await ended
    },
  }
}

function recipientOf(id: string, to: LoadOptions['to']): string {
  return 'address' in to ? to.address : `${id}@${to.domain}`
}

const paddingLine = `${'x'.repeat(76)}\r\n`

function contentOf(id: string, bytes: number): string {
  const head = `From: <load@load.test>\r\nSubject: load\r\nMessage-ID: <${id}@load.test>\r\n${idHeader}: ${id}\r\n\r\n`
  const lines = Math.max(0, Math.round((bytes - head.length) / paddingLine.length))
  return `${head}${paddingLine.repeat(lines)}end ${id}\r\n.\r\n`
}

/** One connection; every call rejects once it is lost. */
class LoadSession {
  readonly #socket: Socket
  #unread = ''
  #replies: string[] = []
  #wanted = 0
  #resolve: ((replies: string[]) => void) | undefined
  #reject: ((error: Error) => void) | undefined
  #lost: Error | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#read(chunk.toString('latin1')))
    socket.on('error', (error) => this.#lose(error)).on('close', () => this.#lose(new Error('closed')))
  }

  static async open({ host, port, from }: LoadOptions): Promise<LoadSession> {
    const session = new LoadSession(connect({ host, port, noDelay: true, ...(from ? { localAddress: from } : {}) }))
    const [banner] = await session.ask('', 1)
    const [hello] = await session.ask('EHLO load.test\r\n', 1)
    if (banner?.startsWith('220') && hello?.startsWith('250')) return session
    session.close()
    throw new Error(`greeted with ${banner} and ${hello}`)
  }

  /** Sends the text and reads `count` replies (their last lines). */
  ask(text: string, replies: number): Promise<string[]> {
    if (this.#lost) return Promise.reject(this.#lost)
    if (text) this.#socket.write(text, 'latin1')
    this.#wanted = replies
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#answer()
    })
  }

  async quit(): Promise<void> {
    await this.ask('QUIT\r\n', 1)
    this.close()
  }

  close(): void {
    this.#lost ??= new Error('closed by the load')
    this.#socket.destroy()
  }

  #read(text: string): void {
    this.#unread += text
    for (let end = this.#unread.indexOf('\n'); end >= 0; end = this.#unread.indexOf('\n')) {
      const line = this.#unread.slice(0, end).trimEnd()
      this.#unread = this.#unread.slice(end + 1)
      if (line[3] !== '-') this.#replies.push(line)
    }
    this.#answer()
  }

  #answer(): void {
    if (!this.#resolve || this.#replies.length < this.#wanted) return
    const resolve = this.#resolve
    this.#resolve = undefined
    resolve(this.#replies.splice(0, this.#wanted))
  }

  #lose(error: Error): void {
    this.#lost ??= error
    this.#socket.destroy()
    this.#reject?.(this.#lost)
  }
}
