/** Events as the workers record them, for the bench of the log: mail of a day, most of it delivered at the first attempt. */

export const hourMs = 3_600_000

/** A batch as a worker cuts it: events of one worker in one hour. */
export type Lines = { worker: string; hour: number; first: number; last: number; text: string }

const batchEvents = 5_000
const replies = [
  '250 2.0.0 Ok: queued as',
  '250 2.6.0 Queued mail for delivery',
  '250 Requested mail action okay, completed: id=',
]
const subjects = [
  'Invoice',
  'Your order',
  'Re: meeting on Tuesday',
  'Newsletter',
  'Statement of account',
  'Password reset',
]

/** Numbers between 0 and 1, the same in each run. */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0
    return state / 4_294_967_296
  }
}

/** About 2.3 events a message; about `events` in all, evenly over the hours that end with `end`. */
export function* workerBatches({
  events,
  hours,
  end,
}: {
  events: number
  hours: number
  end: number
}): Generator<Lines> {
  const random = randomNumbers(17)
  const messages = Math.round(events / hours / 2.3)
  const next = { 'smtp-1': 1, 'queue-1': 1 }
  for (let hour = end - hours * hourMs; hour < end; hour += hourMs) {
    const lines: Record<keyof typeof next, string[]> = { 'smtp-1': [], 'queue-1': [] }
    const add = (worker: keyof typeof next, at: number, event: object) =>
      lines[worker].push(`${JSON.stringify({ n: next[worker]++, at: new Date(at).toISOString(), ...event })}\n`)
    for (let i = 0; i < messages; i++) {
      const at = hour + Math.floor((i / messages) * (hourMs - 2_000))
      recordMessage(at, random, add)
      for (const worker of ['smtp-1', 'queue-1'] as const)
        if (lines[worker].length >= batchEvents) yield cut(worker, hour, lines[worker], next[worker])
    }
    for (const worker of ['smtp-1', 'queue-1'] as const)
      if (lines[worker].length > 0) yield cut(worker, hour, lines[worker], next[worker])
  }
}

function cut(worker: string, hour: number, lines: string[], next: number): Lines {
  const text = lines.join('')
  const first = next - lines.length
  lines.length = 0
  return { worker, hour, first, last: next - 1, text }
}

type Add = (worker: 'smtp-1' | 'queue-1', at: number, event: object) => void

function recordMessage(at: number, random: () => number, add: Add): void {
  const pick = (count: number) => Math.floor(random() * count)
  const ip = `198.51.${pick(100)}.${pick(250)}`
  const sender = `sender${pick(20_000)}@customer${pick(400)}.example`
  const address = `user${pick(50_000)}@domain${pick(300)}.example`
  const client = { ip, helo: `mail${pick(300)}.customer.example`, tls: 'TLSv1.3 TLS_AES_256_GCM_SHA384' }
  if (random() < 0.1) add('smtp-1', at, refusal({ ip, helo: 'localhost' }, sender, address))
  const hex = at.toString(16).padStart(12, '0')
  const word = () => pick(65_536).toString(16).padStart(4, '0')
  const messageId = `${hex.slice(0, 8)}-${hex.slice(8)}-7${word().slice(1)}-8${word().slice(1)}-${word()}${word()}${word()}`
  const subject = `${subjects[pick(subjects.length)]} ${pick(1_000_000)}`
  const rules = ['connect: block list', 'mail: sender domain', 'rcpt: local domain', 'data: message size']
  const recipients = [{ address, original: address }]
  const message = { type: 'message.accepted', messageId, origin: 'smtp', client, sender, recipients }
  add('smtp-1', at, { ...message, size: 900 + pick(60_000), subject, revision: 118, rules })
  const remote = {
    host: `mx${pick(3)}.domain${pick(300)}.example`,
    address: `203.0.113.${pick(250)}`,
    port: 25,
    tls: 'TLSv1.3',
  }
  const attempt = { messageId, attempt: 1, recipients: [address], remote }
  const durationMs = 20 + pick(400)
  if (random() < 0.05) {
    const nextTryAt = new Date(at + 300_000).toISOString()
    const reply = '451 4.7.1 Greylisted, please try again in 300 seconds'
    add('queue-1', at + durationMs, {
      type: 'delivery.deferred',
      ...attempt,
      reply,
      durationMs,
      nextTryAt,
      cause: 'greylisted',
    })
  }
  if (random() < 0.02) {
    const reply = `550 5.1.1 <${address}>: Recipient address rejected: User unknown in virtual mailbox table`
    add('queue-1', at + 500, {
      type: 'delivery.bounced',
      ...attempt,
      reply,
      durationMs,
      cause: 'unknown-user',
      status: '5.1.1',
    })
  } else {
    const reply = `${replies[pick(replies.length)]} ${word()}${word()}${word()}`
    add('queue-1', at + 500, { type: 'delivery.delivered', ...attempt, reply, durationMs })
  }
}

function refusal(client: object, sender: string, recipient: string): object {
  const trail = ['relay', 'recipient', 'block list'].map((rule) => ({ rule, said: 'passed' }))
  const verdict = {
    stage: 'rcpt',
    rule: 'relay',
    reason: 'relay-denied',
    revision: 118,
    reply: '554 5.7.1 Relay access denied',
    explanation: ['No domain of this server has the recipient, and the client may not relay.'],
    trail,
  }
  return { type: 'command.refused', client, sender, recipient, verdict }
}
