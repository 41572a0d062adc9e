import { randomBytes } from 'node:crypto'
import type { Envelope } from '@postern/contract/envelope.ts'
import { uuidv7 } from 'uuidv7'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type Arrival,
  type Batch,
  type Cursor,
  type FollowOptions,
  type MessageWriter,
  SpoolFailure,
  SpoolFull,
  SpoolInUse,
  type SpoolReader,
  type SpoolWriter,
} from '../spool.ts'

/** One empty spool, as the suite needs it. */
export type SpoolUnderTest = {
  /** With `full`, as if the storage had no room left. */
  openWriter(name: string, options?: { full?: boolean }): Promise<SpoolWriter>
  openReader(): Promise<SpoolReader>
  remove(): Promise<void>
}

export function envelopeOf(given: Partial<Envelope> = {}): Envelope {
  return {
    id: uuidv7(),
    receivedAt: Date.now(),
    worker: 'smtp-1',
    revision: 7,
    origin: 'smtp',
    sender: 'alice@example.org',
    recipients: [{ address: 'bob@example.net', original: 'Bob@Example.NET' }],
    body: '8bitmime',
    smtpUtf8: false,
    hops: 1,
    client: { ip: '127.0.0.1', helo: 'client.example.org' },
    ...given,
  }
}

/** Follows until `count` messages came, or fails after ten seconds. */
export async function takeOver(
  reader: SpoolReader,
  count: number,
  options: Partial<FollowOptions> = {},
): Promise<{ arrivals: Arrival[]; batches: Batch[]; cursors: Map<string, Cursor> }> {
  const taken = { arrivals: [] as Arrival[], batches: [] as Batch[], cursors: new Map(options.after) }
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(), 10_000)
  for await (const batch of reader.follow({ after: new Map(), ...options, signal: controller.signal })) {
    taken.batches.push(batch)
    taken.arrivals.push(...batch.arrivals)
    taken.cursors.set(batch.writer, batch.cursor)
    if (taken.arrivals.length + taken.batches.flatMap(({ damages }) => damages).length >= count) break
  }
  clearTimeout(timer)
  return taken
}

/** What comes within `ms`. */
export async function overhear(
  reader: SpoolReader,
  ms: number,
  options: Partial<FollowOptions> = {},
): Promise<{ batches: Batch[]; arrivals: Arrival[] }> {
  const batches: Batch[] = []
  const signal = AbortSignal.timeout(ms)
  for await (const batch of reader.follow({ after: new Map(), ...options, signal })) batches.push(batch)
  return { batches, arrivals: batches.flatMap(({ arrivals }) => arrivals) }
}

async function fill(messageWriter: MessageWriter, chunks: readonly Buffer[]): Promise<void> {
  for (const chunk of chunks) await messageWriter.append(chunk)
}

async function streamed(reader: SpoolReader, arrival: Arrival): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of reader.openBody(arrival.location)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const ids = (arrivals: readonly Arrival[]) => arrivals.map(({ envelope }) => envelope.id)
const mebibyte = 1 << 20

/** What every spool promises, whatever it stores in. */
export function spoolSuite(name: string, make: () => Promise<SpoolUnderTest>): void {
  describe(`the spool contract: ${name}`, () => {
    let spool: SpoolUnderTest
    let writer: SpoolWriter
    let reader: SpoolReader

    beforeEach(async () => {
      spool = await make()
      writer = await spool.openWriter('smtp-1')
      reader = await spool.openReader()
    })

    afterEach(async () => {
      await writer.close()
      await reader.close()
      await spool.remove()
    })

    it('gives back a message byte for byte, with its envelope', async () => {
      const envelope = envelopeOf({ smtpUtf8: true, sender: 'jürgen@exämple.org', hold: 'wait "here"\n' })
      const body = Buffer.from([0, 255, 13, 10, 46, 13, 10])
      const stored = await writer.write({ envelope, body })
      const { arrivals } = await takeOver(reader, 1)
      expect(arrivals).toHaveLength(1)
      const [arrival] = arrivals as [Arrival]
      expect(arrival).toMatchObject({ envelope, size: 7, copy: false, location: stored.location })
      expect(JSON.parse(arrival.json)).toEqual(envelope)
      expect(stored).toEqual({ id: envelope.id, size: 7, location: arrival.location, segment: arrival.segment })
      expect(await reader.readBody(arrival.location)).toEqual(body)
      expect(await streamed(reader, arrival)).toEqual(body)
      expect(await reader.readEnvelope(arrival.location)).toEqual(envelope)
    })

    it('takes an empty message, a prefix, and a body in pieces', async () => {
      const pieces = [Buffer.from('Subject: a\r\n'), Buffer.from('\r\n'), Buffer.alloc(0), Buffer.from('text\r\n')]
      await writer.write({ envelope: envelopeOf(), body: [] })
      await writer.write({ envelope: envelopeOf(), prefix: Buffer.from('Received: x\r\n'), body: pieces })
      const { arrivals } = await takeOver(reader, 2)
      const bodies = await Promise.all(arrivals.map(({ location }) => reader.readBody(location)))
      expect(bodies.map(String)).toEqual(['', 'Received: x\r\nSubject: a\r\n\r\ntext\r\n'])
      expect(arrivals.map(({ size }) => size)).toEqual([0, 33])
      expect(await streamed(reader, arrivals[0]!)).toHaveLength(0)
    })

    it.each([
      ['small', 3, 1000],
      ['just shared', 16, mebibyte / 16],
      ['just not shared', 17, mebibyte / 16],
      ['large', 50, 100_000],
    ])('takes a %s message as it comes, with its prefix decided at the end', async (_size, count, bytes) => {
      const chunks = Array.from({ length: count }, () => randomBytes(bytes))
      const prefix = Buffer.from('Authentication-Results: none\r\n')
      const messageWriter = writer.begin(count * bytes)
      await fill(messageWriter, chunks.slice(0, -2))
      await messageWriter.append(chunks.slice(-2))
      expect(messageWriter.size).toBe(count * bytes)
      for (let again = 0; again < 2; again++) {
        const read: Buffer[] = []
        for await (const chunk of messageWriter.read()) read.push(chunk)
        expect(Buffer.concat(read).equals(Buffer.concat(chunks))).toBe(true)
      }
      const envelope = envelopeOf()
      const stored = await messageWriter.commit(envelope, prefix)
      const { arrivals } = await takeOver(reader, 1)
      const whole = Buffer.concat([prefix, ...chunks])
      expect(stored.size).toBe(whole.length)
      expect(arrivals[0]).toMatchObject({ envelope, size: whole.length })
      expect(whole.equals(await reader.readBody(arrivals[0]!.location))).toBe(true)
      expect(whole.equals(await streamed(reader, arrivals[0]!))).toBe(true)
      expect(await reader.readEnvelope(arrivals[0]!.location)).toEqual(envelope)
    })

    it('takes a large message that is complete in memory', async () => {
      const body = randomBytes(3 * mebibyte)
      const stored = await writer.write({ envelope: envelopeOf(), prefix: Buffer.from('A: b\r\n'), body })
      expect((await reader.readBody(stored.location)).subarray(6).equals(body)).toBe(true)
    })

    it('keeps the order in which messages became durable, small and large', async () => {
      const stored: string[] = []
      await Promise.all(
        Array.from({ length: 60 }, async (_, index) => {
          const body = Buffer.alloc(index % 20 === 7 ? 2 * mebibyte : 500, index)
          stored.push((await writer.write({ envelope: envelopeOf(), body })).id)
        }),
      )
      const { arrivals } = await takeOver(reader, 60)
      expect(ids(arrivals)).toEqual(stored)
    })

    it('holds many unfinished at once apart', async () => {
      const unfinished = Array.from({ length: 40 }, (_, index) => ({ index, messageWriter: writer.begin() }))
      for (let round = 0; round < 5; round++) {
        await Promise.all(
          unfinished.map(({ messageWriter, index }) =>
            messageWriter.append(Buffer.alloc(index % 8 ? 100 : 300_000, index)),
          ),
        )
      }
      await Promise.all(
        unfinished.map(({ messageWriter, index }) => messageWriter.commit(envelopeOf({ revision: index }))),
      )
      const { arrivals } = await takeOver(reader, 40)
      for (const { location, envelope } of arrivals) {
        const body = await reader.readBody(location)
        expect(body.equals(Buffer.alloc(envelope.revision % 8 ? 500 : 1_500_000, envelope.revision))).toBe(true)
      }
      expect(new Set(ids(arrivals)).size).toBe(40)
    })

    it('never shows what was aborted, and an aborted message writer takes nothing more', async () => {
      for (const bytes of [100, 2 * mebibyte]) {
        const messageWriter = writer.begin()
        await messageWriter.append(Buffer.alloc(bytes))
        messageWriter.abort()
        messageWriter.abort()
        await expect(messageWriter.append(Buffer.alloc(1))).rejects.toThrow(SpoolFailure)
        await expect(messageWriter.commit(envelopeOf())).rejects.toThrow(SpoolFailure)
      }
      const { id } = await writer.write({ envelope: envelopeOf(), body: Buffer.from('x') })
      expect(ids((await overhear(reader, 400)).arrivals)).toEqual([id])
      expect(writer.load().pending).toBe(0)
    })

    it('ignores an abort after the commit', async () => {
      const messageWriter = writer.begin()
      await messageWriter.append(Buffer.from('kept'))
      const committed = messageWriter.commit(envelopeOf())
      messageWriter.abort()
      expect(String(await reader.readBody((await committed).location))).toBe('kept')
    })

    it('goes on after a cursor, giving each message once', async () => {
      const write = (count: number) =>
        Promise.all(
          Array.from({ length: count }, () => writer.write({ envelope: envelopeOf(), body: Buffer.from('x') })),
        )
      const first = ids((await write(25)) && (await takeOver(reader, 25)).arrivals)
      const { cursors, arrivals } = await takeOver(reader, 10, { batch: 10 })
      expect(arrivals).toHaveLength(10)
      await write(5)
      const rest = await takeOver(reader, 20, { after: new Map(JSON.parse(JSON.stringify([...cursors]))) })
      expect(rest.arrivals).toHaveLength(20)
      expect([...ids(arrivals), ...ids(rest.arrivals)].slice(0, 25)).toEqual(first)
      expect((await overhear(reader, 300, { after: rest.cursors })).arrivals).toEqual([])
    })

    it('knows the cursor behind everything that is durable, for large and small', async () => {
      const write = (bytes: number) => writer.write({ envelope: envelopeOf(), body: Buffer.alloc(bytes, 1) })
      for (const bytes of [100, 2 * mebibyte, 300]) {
        await write(bytes)
        const after = new Map([['smtp-1', writer.cursor()]])
        expect((await overhear(reader, 300, { after })).arrivals).toEqual([])
        const next = await write(bytes)
        expect(ids((await takeOver(reader, 1, { after })).arrivals)).toEqual([next.id])
      }
    })

    it('comes to the cursor of a writer that was opened and has written nothing', async () => {
      const before = writer.cursor()
      const { id } = await writer.write({ envelope: envelopeOf(), body: Buffer.from('x') })
      await writer.close()
      writer = await spool.openWriter('smtp-1')
      const controller = new AbortController()
      const seen: string[] = []
      const after = new Map([['smtp-1', before]])
      for await (const { arrivals, cursor } of reader.follow({ after, signal: controller.signal })) {
        seen.push(...ids(arrivals))
        if (cursor === writer.cursor()) controller.abort()
      }
      expect(seen).toEqual([id])
    })

    it('gives only the writers that are asked for', async () => {
      const other = await spool.openWriter('queue-1')
      await other.write({ envelope: envelopeOf(), body: Buffer.from('other') })
      const { id } = await writer.write({ envelope: envelopeOf(), body: Buffer.from('x') })
      expect(ids((await overhear(reader, 300, { writers: ['smtp-1'] })).arrivals)).toEqual([id])
      await other.close()
    })

    it('wakes soon after a commit', async () => {
      const waits: number[] = []
      let written = 0
      const controller = new AbortController()
      const following = (async () => {
        for await (const batch of reader.follow({ after: new Map(), signal: controller.signal })) {
          if (batch.arrivals.length > 0) waits.push(performance.now() - written)
        }
      })()
      for (let round = 0; round < 5; round++) {
        await new Promise((resolve) => setTimeout(resolve, 60))
        await writer.write({ envelope: envelopeOf(), body: Buffer.from('x') })
        written = performance.now()
      }
      await new Promise((resolve) => setTimeout(resolve, 400))
      controller.abort()
      await following
      expect(waits).toHaveLength(5)
      expect(Math.max(...waits)).toBeLessThan(300)
    })

    it('follows every writer, also one that comes later and one that comes back', async () => {
      const first = await writer.write({ envelope: envelopeOf(), body: Buffer.from('1') })
      const taken = takeOver(reader, 4)
      const other = await spool.openWriter('smtp-2')
      const second = await other.write({ envelope: envelopeOf(), body: Buffer.from('2') })
      await other.close()
      await writer.close()
      writer = await spool.openWriter('smtp-1')
      const third = await writer.write({ envelope: envelopeOf(), body: Buffer.from('3') })
      const fourth = await writer.write({ envelope: envelopeOf(), body: Buffer.from('4') })
      const { batches } = await taken
      const of = (name: string) => batches.filter((batch) => batch.writer === name).flatMap((b) => ids(b.arrivals))
      expect(of('smtp-1')).toEqual([first.id, third.id, fourth.id])
      expect(of('smtp-2')).toEqual([second.id])
      expect(batches.flatMap(({ damages }) => damages)).toEqual([])
    })

    it('gives a writer name to one at a time', async () => {
      await expect(spool.openWriter('smtp-1')).rejects.toThrow(SpoolInUse)
      await writer.close()
      const again = await spool.openWriter('smtp-1')
      await again.close()
    })

    it('refuses before there is no room, and says so at once', async () => {
      const full = await spool.openWriter('smtp-full', { full: true })
      expect(full.hasRoom()).toBe(false)
      expect(() => full.begin(1000)).toThrow(SpoolFull)
      await expect(full.write({ envelope: envelopeOf(), body: Buffer.alloc(10) })).rejects.toThrow(SpoolFull)
      await full.close()
      expect(writer.hasRoom(1000)).toBe(true)
      expect((await overhear(reader, 300)).arrivals).toEqual([])
    })

    it('finishes what was committed when it is closed, and takes nothing after', async () => {
      const open = writer.begin()
      const stored = Array.from({ length: 20 }, () => writer.write({ envelope: envelopeOf(), body: Buffer.from('x') }))
      await writer.close()
      const written = (await Promise.all(stored)).map(({ id }) => id)
      await expect(writer.write({ envelope: envelopeOf(), body: Buffer.alloc(1) })).rejects.toThrow(SpoolFailure)
      await expect(open.commit(envelopeOf())).rejects.toThrow(SpoolFailure)
      expect(ids((await takeOver(reader, 20)).arrivals)).toEqual(written)
    })

    it('reclaims nothing that waits or that is not taken over', async () => {
      const first = await writer.write({ envelope: envelopeOf(), body: Buffer.from('first') })
      const { cursors } = await takeOver(reader, 1)
      await writer.close()
      writer = await spool.openWriter('smtp-1')
      const second = await writer.write({ envelope: envelopeOf(), body: Buffer.from('second') })
      const waiting = new Map([[first.segment, { messages: 1, bytes: 5 }]])
      await reader.reclaim({ cursors, waiting })
      await reader.reclaim({ cursors: new Map(), waiting: new Map() })
      expect(String(await reader.readBody(first.location))).toBe('first')
      const { arrivals } = await takeOver(reader, 1, { after: cursors })
      expect(ids(arrivals)).toEqual([second.id])
      expect(String(await reader.readBody(second.location))).toBe('second')
    })

    it.each([100, 3 * mebibyte])(
      'copies a waiting message of %i bytes on, unseen by those who follow',
      async (bytes) => {
        const body = randomBytes(bytes)
        const envelope = envelopeOf()
        const prefix = Buffer.from('Received: x\r\n')
        const { location } = await writer.write({ envelope, prefix, body })
        const own = await spool.openWriter('queue-1')
        const copy = await reader.copyOn(location, own)
        await own.close()
        expect((await reader.readBody(copy.location)).equals(Buffer.concat([prefix, body]))).toBe(true)
        expect(await reader.readEnvelope(copy.location)).toEqual(envelope)
        expect((await overhear(reader, 400)).arrivals.map(({ location: at }) => at)).toEqual([location])
        const all = await takeOver(reader, 2, { copies: true })
        expect(all.arrivals.filter((arrival) => arrival.copy).map(({ location: at }) => at)).toEqual([copy.location])
      },
    )

    it('moves the cursor over copies, so that their segments can go too', async () => {
      const own = await spool.openWriter('queue-1')
      const { location } = await writer.write({ envelope: envelopeOf(), body: Buffer.from('x') })
      await reader.copyOn(location, own)
      const { batches } = await overhear(reader, 400)
      expect(batches.filter((batch) => batch.writer === 'queue-1').at(-1)?.arrivals).toEqual([])
      await own.close()
    })
  })
}
