import type { LoggedEvent } from '@postern/log/search.ts'

/** An event as its worker wrote it. Only number, time and type have been checked. */
export type SentEvent = { n: number; at: string; type: string; [field: string]: unknown }

/** Returns an event as the log has it. */
export function loggedEvent({ worker, log }: { worker: string; log: string }, sent: SentEvent): LoggedEvent {
  const { n, at, type, ...fields } = sent
  const messageId = typeof fields.messageId === 'string' ? fields.messageId : undefined
  return { worker, log, n, at: Date.parse(at), type, fields, ...(messageId === undefined ? {} : { messageId }) }
}

export const headPattern = /^\{"n":(\d+),"at":"([^"]*)","type":"([^"\\]*)"/

/** Reads a line of a stored batch. Number, time and type are those that were checked; what is not JSON has no fields. */
export function sentEvent(line: string): SentEvent {
  const [, n, at = '', type = ''] = headPattern.exec(line) ?? []
  return { ...fieldsOf(line), n: Number(n), at, type }
}

function fieldsOf(line: string): object {
  try {
    return JSON.parse(line) as object
  } catch {
    return {}
  }
}
