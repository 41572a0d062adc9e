import type { MessageView, Page, QueueItem } from '@postern/contract/views.ts'
import type { Client } from './client.ts'

/** One line a message, all pages. */
export async function list(client: Client, query: string): Promise<number> {
  let cursor: string | null = null
  do {
    const page: Page<QueueItem> = await client.get(
      `/v1/queue?${query}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`,
    )
    for (const { id, state, sender, recipients, attempts, cause } of page.items)
      console.log([id, state, `<${sender}>`, recipients.join(','), `${attempts} tries`, plain(cause ?? '')].join('  '))
    cursor = page.nextCursor
  } while (cursor)
  return 0
}

/** Envelope, recipients and every attempt with the remote's own words. */
export async function show(client: Client, id: string): Promise<number> {
  const message = await client.get<MessageView>(`/v1/messages/${encodeURIComponent(id)}`)
  console.log(`${message.id}  ${message.state}  <${message.sender}>  ${message.size} octets`)
  for (const { address, outcome, attempts, lastReply, nextTryAt } of message.recipients)
    console.log(
      `  ${address}  ${outcome}  ${attempts} tries${nextTryAt ? `  next ${nextTryAt}` : ''}${lastReply ? `\n    ${plain(lastReply)}` : ''}`,
    )
  for (const event of message.trace) console.log(`  ${event.at}  ${plain(event.text)}`)
  return 0
}

export async function act(client: Client, action: string, id: string): Promise<number> {
  const { revision } = await client.post<{ revision: number }>(`/v1/messages/${encodeURIComponent(id)}/${action}`)
  console.log(`${action} ordered as revision ${revision}`)
  return 0
}

export async function run(client: Client): Promise<number> {
  const { revision } = await client.post<{ revision: number }>('/v1/queue/run')
  console.log(`a run of the whole queue was ordered as revision ${revision}`)
  return 0
}

/** A stranger's words must not steer the terminal. */
function plain(text: string): string {
  return text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?')
}
