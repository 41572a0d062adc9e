import { chown, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, type Peer, startPeer, temporaryDirectory } from './peer.ts'

export type SmtpSinkOptions = {
  host?: string
  /** Keep each message in a file, envelope in `X-` headers, for checks of its content. */
  keep?: boolean
  lmtp?: boolean
  /** Commands answered 5xx or 4xx, e.g. `['RCPT']`. */
  rejectHard?: string[]
  rejectSoft?: string[]
  /** Sessions at once; 256 without it. */
  sessions?: number
  /** Other options of smtp-sink(1). */
  more?: string[]
}

/** One message as smtp-sink stored it: the envelope and the unchanged message. */
type SunkMessage = {
  sender: string
  recipients: string[]
  helo: string
  content: string
}

export type SmtpSink = Peer & {
  /** Messages received so far, and the time of the last one (`performance.now()`), by its own counter. */
  received(): { messages: number; lastAt: number }
  /** Only with `keep`. */
  messages(): Promise<SunkMessage[]>
}

const nobody = 65_534

/** Postfix's smtp-sink(1): accepts all mail as fast as possible, counts it, and discards it unless `keep`. */
export async function startSmtpSink(options: SmtpSinkOptions = {}): Promise<SmtpSink> {
  const host = options.host ?? '127.0.0.1'
  const port = await freePort(host)
  const directory = await temporaryDirectory('smtp-sink')
  const mail = join(directory, 'mail')
  await mkdir(mail)
  const root = process.getuid?.() === 0
  if (root) for (const path of [directory, mail]) await chown(path, nobody, nobody)
  const args = [
    '-c',
    ...(root ? ['-u', 'nobody'] : []),
    ...(options.keep ? ['-d', `${mail}/%H%M%S.`] : []),
    ...(options.lmtp ? ['-L'] : []),
    ...(options.rejectHard ? ['-f', options.rejectHard.join(',')] : []),
    ...(options.rejectSoft ? ['-r', options.rejectSoft.join(',')] : []),
    ...(options.sessions ? ['-m', String(options.sessions)] : []),
    ...(options.more ?? []),
    `[${host}]:${port}`,
    '1024',
  ]
  const counter = readCounter()
  const peer = await startPeer({
    name: 'smtp-sink',
    command: '/usr/sbin/smtp-sink',
    args,
    host,
    port,
    directory,
    onOutput: counter.read,
  })
  return {
    ...peer,
    received: counter.received,
    messages: async () => Promise.all((await readdir(mail)).map((name) => readSunk(join(mail, name)))),
  }
}

/** Reads `sess=1 quit=0 mesg=12\r`, which smtp-sink -c writes again at every change, in pieces of any size. */
function readCounter(): { read(text: string): void; received(): { messages: number; lastAt: number } } {
  let unread = ''
  let messages = 0
  let lastAt = 0
  const read = (text: string) => {
    unread += text
    const end = unread.lastIndexOf('\r')
    if (end < 0) return
    const count = Number(unread.slice(unread.lastIndexOf('=', end) + 1, end))
    unread = unread.slice(end + 1)
    if (count !== messages) lastAt = performance.now()
    messages = count
  }
  return { read, received: () => ({ messages, lastAt }) }
}

const envelopeLines = /^(?:X-(?:Client-Addr|Client-Proto|Helo-Args|Mail-Args|Rcpt-Args): .*\n)+/

async function readSunk(file: string): Promise<SunkMessage> {
  const text = await readFile(file, 'utf8')
  const envelope = envelopeLines.exec(text)?.[0] ?? ''
  const said = (name: string) =>
    [...envelope.matchAll(new RegExp(`^X-${name}-Args: <?([^>\\n]*)`, 'gm'))].map((line) => line[1] ?? '')
  return {
    sender: said('Mail')[0] ?? '',
    recipients: said('Rcpt'),
    helo: said('Helo')[0] ?? '',
    content: text.slice(envelope.length),
  }
}
