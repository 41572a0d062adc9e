import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import type { MessageView, Page, QueueItem, ServiceView } from '@postern/contract/views.ts'
import type { Client } from './client.ts'
import { counted } from './counted.ts'
import { submit } from './sendmail.ts'
import { Exit, sysexits } from './sysexits.ts'

/** Prints one line per message, from all pages. */
export async function list(client: Client, query: string): Promise<number> {
  let cursor: string | null = null
  do {
    const page: Page<QueueItem> = await client.get(
      `/v1/queue?${query}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`,
    )
    for (const { id, state, sender, recipients, attempts, cause } of page.items)
      console.log(
        [id, state, `<${sender}>`, recipients.join(','), counted(attempts, 'attempt'), plain(cause ?? '')].join('  '),
      )
    cursor = page.nextCursor
  } while (cursor)
  return 0
}

/** Prints the envelope, the recipients and every attempt with the remote server's reply. */
export async function show(client: Client, id: string): Promise<number> {
  const message = await client.get<MessageView>(`/v1/messages/${encodeURIComponent(id)}`)
  console.log(`${message.id}  ${message.state}  <${message.sender}>  ${message.size} bytes`)
  for (const { address, outcome, attempts, lastReply, nextTryAt } of message.recipients)
    console.log(
      `  ${address}  ${outcome}  ${counted(attempts, 'attempt')}${nextTryAt ? `  next ${nextTryAt}` : ''}${lastReply ? `\n    ${plain(lastReply)}` : ''}`,
    )
  for (const event of message.trace) console.log(`  ${event.at}  ${plain(event.text)}`)
  return 0
}

/** Explains why a message waits, or how it ended. */
export async function explain(client: Client, id: string): Promise<number> {
  const message = await client.get<MessageView>(`/v1/messages/${encodeURIComponent(id)}`)
  const services = await client.get<{ items: ServiceView[] }>('/v1/services')
  const { items } = await client.get<Page<QueueItem>>(`/v1/queue?q=${encodeURIComponent(id)}`)
  const cause = items.find((item) => item.id === message.id)?.cause
  const say = (sentence: string) => console.log(plain(sentence))
  switch (message.state) {
    case 'finished':
      say('It is no longer in the queue:')
      for (const { address, outcome, lastReply } of message.recipients)
        say(`  ${address} was ${outcome}${lastReply ? `: ${lastReply}` : ''}`)
      return 0
    case 'held':
      say(`It is ${cause ?? 'held'}. To release it: postern release ${id}`)
      break
    case 'active':
      say('It is being delivered, or will be soon.')
      break
    default:
      say('The last attempt failed. Postern will try again.')
  }
  const manager = services.items.find(({ name }) => name === 'queue')
  if (manager && manager.observed !== 'running') say(`The Queue Manager is ${manager.observed}: no mail is delivered.`)
  for (const { address, outcome, attempts, lastReply, nextTryAt } of message.recipients) {
    if (outcome !== 'waiting') continue
    say(
      `  ${address}: ${counted(attempts, 'attempt')}${nextTryAt && message.state !== 'held' ? `, next ${nextTryAt}` : ''}`,
    )
    if (lastReply) say(`    last reply: ${lastReply}`)
  }
  return 0
}

export async function reroute(client: Client, id: string, place: string): Promise<number> {
  const [, inBrackets, host, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(place) ?? []
  if (!inBrackets && !host) throw new Exit(sysexits.usage, `"${place}" must be HOST or HOST:PORT`)
  return act(client, 'reroute', id, { to: { host: inBrackets ?? host, ...(port ? { port: Number(port) } : {}) } })
}

/** Submits a file with the given envelope and prints the message id. */
export async function submitFile(client: Client, file: string, args: readonly string[]): Promise<number> {
  const { values, positionals } = envelopeOf(args)
  if (positionals.length === 0)
    throw new Exit(sysexits.usage, 'no recipient; usage: postern submit FILE [--from SENDER] RECIPIENT…')
  const bytes = await readFile(file === '-' ? '/dev/stdin' : file).catch((error: Error) => {
    throw new Exit(sysexits.noInput, `cannot read ${file}: ${error.message}`)
  })
  console.log(await submit(client, { sender: values.from ?? '', recipients: positionals }, bytes))
  return 0
}

function envelopeOf(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: { from: { type: 'string' } }, allowPositionals: true })
  } catch (error) {
    throw new Exit(sysexits.usage, (error as Error).message)
  }
}

export async function act(client: Client, action: string, id: string, body?: object): Promise<number> {
  const path = `/v1/messages/${encodeURIComponent(id)}/${action}`
  const { revision } = await client.post<{ revision: number }>(path, body)
  console.log(`${action} requested as revision ${revision}`)
  return 0
}

export async function run(client: Client): Promise<number> {
  const { revision } = await client.post<{ revision: number }>('/v1/queue/run')
  console.log(`queue run requested as revision ${revision}`)
  return 0
}

/** Replaces control characters, so that text from remote servers cannot control the terminal. */
function plain(text: string): string {
  return text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?')
}
