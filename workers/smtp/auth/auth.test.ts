import { hash } from '@node-rs/argon2'
import type { Row } from '@postern/contract/rows.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { certificateRow, mxCertificate } from '../test/certificates.ts'
import { startTestReceiver, type TestReceiver } from '../test/receiver-harness.ts'
import { pastBanner } from '../test/wire-client.ts'
import { Credentials } from './credentials.ts'

const password = 'correct horse'
const base64 = (text: string) => Buffer.from(text).toString('base64')
const plain = (login: string, secret = password) => `AUTH PLAIN ${base64(`\0${login}\0${secret}`)}`

async function account(secret: string, more: object = {}): Promise<Row> {
  const secretHash = await hash(secret, { memoryCost: 19_456, timeCost: 2, parallelism: 1 })
  return {
    kind: 'account',
    id: 'a1',
    value: { address: 'jane@example.test', login: '', disabled: false, secretHash, ...more },
  }
}

let receiver: TestReceiver
beforeAll(async () => {
  receiver = await startTestReceiver({
    settings: { advanced: { allowPlainWithoutTls: true }, general: { relayMode: 'none' } },
    rows: [await account(password), certificateRow(mxCertificate)],
  })
})
afterAll(() => receiver.close())

async function talk(lines: readonly (readonly [string, RegExp])[], port = receiver.port('submission')): Promise<void> {
  const client = await pastBanner({ port })
  for (const [line, expected] of [['EHLO c.test', /^250/] as const, ...lines])
    expect(await client.answer(line), line).toMatch(expected)
  client.destroy()
}

describe('AUTH', () => {
  it.each([
    ['PLAIN', [[plain('jane@example.test'), /^235 2\.7\.0 /]]],
    [
      'PLAIN, asked for',
      [
        ['AUTH PLAIN', /^334 $/],
        [base64(`\0jane@example.test\0${password}`), /^235 2\.7\.0 /],
      ],
    ],
    ['PLAIN as oneself', [[`AUTH PLAIN ${base64(`jane@example.test\0jane@example.test\0${password}`)}`, /^235 /]]],
    ['PLAIN as somebody else', [[`AUTH PLAIN ${base64(`boss\0jane@example.test\0${password}`)}`, /^535 5\.7\.8 /]]],
    [
      'LOGIN',
      [
        ['AUTH LOGIN', /^334 VXNlcm5hbWU6$/],
        [base64('jane@example.test'), /^334 UGFzc3dvcmQ6$/],
        [base64(password), /^235 /],
      ],
    ],
    [
      'LOGIN with the name at once',
      [
        [`AUTH LOGIN ${base64('JANE@example.test')}`, /^334 UGFzc3dvcmQ6$/],
        [base64(password), /^235 /],
      ],
    ],
    ['in lower case', [[plain('jane@example.test').replace('PLAIN', 'plain'), /^235 /]]],
    [
      'cancelled',
      [
        ['AUTH PLAIN', /^334 $/],
        ['*', /^501 5\.7\.0 /],
        ['NOOP', /^250/],
      ],
    ],
    [
      'not base64',
      [
        ['AUTH PLAIN', /^334 $/],
        ['!!!', /^501 5\.5\.2 /],
        ['AUTH PLAIN ====', /^501 /],
      ],
    ],
    ['not UTF-8', [['AUTH PLAIN /v8=', /^501 5\.5\.2 /]]],
    [
      'another mechanism',
      [
        ['AUTH CRAM-MD5', /^504 5\.5\.4 /],
        ['AUTH XOAUTH2 x', /^504 /],
      ],
    ],
    [
      'twice',
      [
        [plain('jane@example.test'), /^235 /],
        [plain('jane@example.test'), /^503 5\.5\.1 /],
      ],
    ],
    ['wrong', [[plain('jane@example.test', 'wrong'), /^535 5\.7\.8 /]]],
    ['unknown', [[plain('nobody@example.test'), /^535 5\.7\.8 /]]],
  ] as const)('%s', (_name, lines) => talk(lines))

  it('lets a user relay, and is in the Received field and the envelope', async () => {
    const client = await pastBanner({ port: receiver.port('smtp') })
    await client.answer('EHLO c.test')
    await client.answer('MAIL FROM:<jane@example.test>')
    expect(await client.answer('RCPT TO:<x@away.test>')).toMatch(/^550 5\.7\.1/)
    await client.answer('RSET')
    expect(await client.answer(plain('jane@example.test'))).toMatch(/^235/)
    expect(await client.send('x\r\n', 'x@away.test', 'jane@example.test')).toMatch(/^250/)
    const stored = (await receiver.stored()).at(-1)
    expect(stored?.envelope.client.login).toBe('jane@example.test')
    expect(stored?.body).toMatch(/with ESMTPA id/)
    client.destroy()
  })

  it('is not within a transaction', () =>
    talk(
      [
        ['MAIL FROM:<jane@example.test>', /^[25]/],
        ['AUTH PLAIN x', /^50[13] /],
      ],
      receiver.port('smtp'),
    ))

  it('unknown and wrong are one answer, and take one time', async () => {
    const once = async (line: string) => {
      const client = await pastBanner({ port: receiver.port('smtp') })
      await client.answer('EHLO c.test')
      // CPU time of all threads of this process: other work on the machine does not count.
      const before = process.cpuUsage()
      const reply = await client.answer(line)
      const { user, system } = process.cpuUsage(before)
      const took = (user + system) / 1000
      client.destroy()
      return { reply, took }
    }
    const times = { wrong: [] as number[], unknown: [] as number[] }
    for (let i = 0; i < 8; i++) {
      const wrong = await once(plain('jane@example.test', `wrong ${i}`))
      const unknown = await once(plain('nobody@example.test', `wrong ${i}`))
      expect(wrong.reply).toBe(unknown.reply)
      times.wrong.push(wrong.took)
      times.unknown.push(unknown.took)
    }
    const sum = (list: number[]) => list.reduce((all, one) => all + one, 0)
    const ratio = sum(times.wrong) / sum(times.unknown)
    console.log(
      `CPU time of 8 tries: wrong password ${sum(times.wrong).toFixed(0)} ms, unknown user ${sum(times.unknown).toFixed(0)} ms`,
    )
    expect(ratio).toBeGreaterThan(0.4)
    expect(ratio).toBeLessThan(2.5)
    expect(receiver.of('auth.failed').at(-1)).toMatchObject({ login: 'nobody@example.test', mechanism: 'PLAIN' })
  })

  it('no event holds a secret', () => {
    const text = JSON.stringify(receiver.events)
    for (const secret of [password, base64(password), base64(`\0jane@example.test\0${password}`), 'wrong 3'])
      expect(text).not.toContain(secret)
  })

  it('a changed password, or a disabled account, is effective at once', async () => {
    const other = await startTestReceiver({
      settings: { advanced: { allowPlainWithoutTls: true } },
      rows: [await account(password)],
    })
    await talk([[plain('jane@example.test'), /^235/]], other.port())
    await other.apply({ rows: [await account('another one')] })
    await talk(
      [
        [plain('jane@example.test'), /^535/],
        [plain('jane@example.test', 'another one'), /^235/],
      ],
      other.port(),
    )
    await other.apply({ rows: [await account('another one', { disabled: true })] })
    await talk([[plain('jane@example.test', 'another one'), /^535/]], other.port())
    await other.close()
  })

  it('a password sent after a refused AUTH is in no event', async () => {
    const other = await startTestReceiver({ rows: [await account(password)] })
    await talk(
      [
        ['AUTH LOGIN', /^538 /],
        [base64('jane@example.test'), /^500 /],
        ['aHVudGVyMjI', /^500 /],
      ],
      other.port(),
    )
    expect(JSON.stringify(other.events).toUpperCase()).not.toContain('AHVUDGVYMJI')
    await other.close()
  })

  it('is not offered without TLS, nor when switched off', async () => {
    const other = await startTestReceiver({ rows: [await account(password)] })
    await talk([[plain('jane@example.test'), /^538 5\.7\.11 /]], other.port())
    await other.apply({ settings: { advanced: { disableAuth: true } } })
    await talk([[plain('jane@example.test'), /^502 5\.5\.1 /]], other.port())
    await other.close()
  })

  it('submission asks for it', () => talk([['MAIL FROM:<jane@example.test>', /^530 5\.7\.0 /]]))
})

describe('the check of credentials', () => {
  const jane = { address: 'jane@example.test', login: '', disabled: false, secretHash: 'h1' }
  const policy = { directory: { accounts: new Map() } } as never
  const asking = { policy, address: '192.0.2.1' }

  it('runs no more than so many at the same time, and is "not known" when too many wait', async () => {
    let running = 0
    let most = 0
    const check = async () => {
      most = Math.max(most, ++running)
      await new Promise((done) => setImmediate(done))
      running--
      return true
    }
    const credentials = new Credentials({ concurrent: 2, waiting: 6, check })
    const results = await Promise.all(Array.from({ length: 12 }, (_, i) => credentials.verify(jane, `p${i}`, asking)))
    expect(most).toBe(2)
    expect(results.filter((result) => result === 'valid')).toHaveLength(8)
    expect(results.filter((result) => result === 'not-known')).toHaveLength(4)
  })

  it('runs fewer or more at the same time when the setting changes', async () => {
    let running = 0
    const most: number[] = []
    const check = async () => {
      most.push(++running)
      await new Promise((done) => setImmediate(done))
      running--
      return true
    }
    const credentials = new Credentials({ concurrent: 1, check })
    const verify = (from: number) =>
      Promise.all(Array.from({ length: 6 }, (_, i) => credentials.verify(jane, `p${from + i}`, asking)))
    await verify(0)
    expect(Math.max(...most.splice(0))).toBe(1)
    const all = verify(10)
    // [advanced.minThreads]
    credentials.concurrent = 2
    await all
    expect(Math.max(...most.splice(0))).toBe(2)
    const others = verify(20)
    credentials.concurrent = 1
    await others
    await verify(30)
    expect(Math.max(...most.splice(-6))).toBe(1)
  })

  it('remembers a success for its hash and password only', async () => {
    let checks = 0
    const credentials = new Credentials({ check: async () => ++checks > 0 })
    await credentials.verify(jane, 'p', asking)
    await credentials.verify(jane, 'p', asking)
    expect(checks).toBe(1)
    await credentials.verify(jane, 'q', asking)
    await credentials.verify({ ...jane, secretHash: 'h2' }, 'p', asking)
    await credentials.verify(null, 'p', asking)
    await credentials.verify(null, 'p', asking)
    expect(checks).toBe(5)
  })

  it('an address that failed has a queue of its own, one check at a time; a success ends that', async () => {
    const running = { usual: 0, suspect: 0 }
    const most = { usual: 0, suspect: 0 }
    const check = async (_: string, password: string, suspect: boolean) => {
      const queue = suspect ? 'suspect' : 'usual'
      most[queue] = Math.max(most[queue], ++running[queue])
      await new Promise((done) => setImmediate(done))
      running[queue]--
      return password.startsWith('right')
    }
    const credentials = new Credentials({ concurrent: 2, check })
    const from = (address: string, passwords: string[]) =>
      Promise.all(passwords.map((password) => credentials.verify(jane, password, { policy, address })))
    await from('192.0.2.66', ['wrong'])
    await Promise.all([from('192.0.2.66', ['a', 'b', 'c', 'd']), from('192.0.2.1', ['right 1', 'right 2', 'right 3'])])
    expect(most).toEqual({ usual: 2, suspect: 1 })
    most.suspect = 0
    await from('192.0.2.66', ['right 4'])
    await from('192.0.2.66', ['e', 'f'])
    expect(most.suspect).toBe(1)
    expect(most.usual).toBe(2)
  })

  it('a hash that cannot be read is "not known"', async () => {
    expect(await new Credentials().verify({ ...jane, secretHash: 'nonsense' }, 'p', asking)).toBe('not-known')
  })
})
