import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { MessageView } from '@postern/contract/views.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { type Postern, startPostern } from './postern.ts'

/** The command as cron, PHP, git and mailx call it, and the queue commands, on a running system. */

let postern: Postern
let token: string
beforeAll(async () => {
  postern = await startPostern()
  await postern.settle()
  await postern.api.post('/v1/domains', { name: 'home.test', route: { type: 'maildir' } })
  await postern.api.post('/v1/domains', { name: 'far.test', route: { type: 'smtp', host: '127.0.0.1', port: 1 } })
  let revision = 0
  for (const address of ['ann@home.test', 'bob@home.test', 'cyd@home.test', 'root@home.test', 'eve@far.test']) {
    const account = { address, login: address, secret: 'a long enough secret' }
    revision = (await postern.api.post('/v1/accounts', account)).revision
  }
  await postern.settle(revision)
  token = (await postern.api.post<{ token: string }>('/v1/tokens', { name: 'cli', role: 'operator' })).token
})
afterAll(() => postern?.stop())
showLogsOnFailure(() => [postern])

/** `only`: the whole environment. */
type Run = {
  input?: string | Buffer
  env?: Record<string, string>
  only?: Record<string, string>
  command?: string
}
const launcher = join(import.meta.dirname, '../../apps/cli/postern')

async function run(args: string[], { input = '', env = {}, only, command = launcher }: Run = {}) {
  const usual = {
    PATH: process.env.PATH,
    // What Node compiled is kept: the command starts dozens of times.
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
    POSTERN_URL: postern.url,
    POSTERN_TOKEN: token,
    POSTERN_ORIGIN: 'home.test',
  }
  const child = spawn(command, args, { env: only ?? { ...usual, ...env } })
  let out = ''
  let errors = ''
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [code] = await once(child, 'close')
  return { code: code as number, out, errors }
}

/** Resolves with the message for this recipient that contains this word. */
async function arrived(recipient: string, word: string): Promise<string> {
  const found = async () => (await postern.mail(recipient)).filter((mail) => mail.includes(word))
  await expect.poll(async () => (await found()).length).toBe(1)
  return (await found())[0] as string
}

describe('as sendmail', () => {
  it('-t takes the recipients from the header and removes Bcc; the envelope sender is -f', async () => {
    const input = 'To: Ann <ann@home.test>\nCc: bob@home.test\nBcc: cyd@home.test\nSubject: word-one\n\n.hello\nend\n'
    expect(await run(['-t', '-i', '-f', 'ops@home.test'], { input })).toEqual({ code: 0, out: '', errors: '' })
    for (const recipient of ['ann@home.test', 'bob@home.test', 'cyd@home.test']) {
      const mail = await arrived(recipient, 'word-one')
      expect(mail).toContain('To: Ann <ann@home.test>\r\nCc: bob@home.test\r\nSubject: word-one\r\n')
      expect(mail).not.toMatch(/^Bcc:/im)
      expect(mail).toMatch(/^Return-Path: <ops@home\.test>\r$/m)
      expect(mail).toMatch(/^From: ops@home\.test\r$/m)
      expect(mail.endsWith('\r\n.hello\r\nend\r\n')).toBe(true)
    }
  })

  it('as cron calls it: names without a domain get POSTERN_ORIGIN', async () => {
    const input = 'From: "(Cron Daemon)" <root>\nTo: root\nSubject: word-cron\n\nran\n'
    expect(await run(['-i', '-FCronDaemon', '-B8BITMIME', '-oem', 'root'], { input })).toMatchObject({ code: 0 })
    expect(await arrived('root@home.test', 'word-cron')).toMatch(/^Return-Path: <[^@>]+@home\.test>\r$/m)
  })

  it('a line with only a dot ends the message, but not with -i; the null sender; a full name; unchanged bytes', async () => {
    const input = Buffer.from('Subject: word-dot\n\nabove gr\xfc\xdfe\n.\nbelow\n', 'latin1')
    expect((await run(['-f', '<>', 'ann@home.test'], { input })).code).toBe(0)
    expect((await run(['-oi', '-fops@home.test', '-F', 'The "Ops"', 'bob@home.test'], { input })).code).toBe(0)
    const cut = await arrived('ann@home.test', 'word-dot')
    expect(cut).toMatch(/^Return-Path: <>\r$/m)
    expect(cut).not.toContain('below')
    const whole = await arrived('bob@home.test', 'word-dot')
    expect(whole).toContain('\r\n.\r\nbelow\r\n')
    expect(whole).toContain('From: "The \\"Ops\\"" <ops@home.test>\r\n')
  })

  it('under the name sendmail, with more recipients than fit into a URL', async () => {
    const name = join(postern.dataDirectory, 'sendmail')
    await symlink(launcher, name)
    const many = Array.from({ length: 400 }, (_, i) => `bob+list${i}@home.test`)
    const input = `To: ${many.join(',\n ')}\nSubject: word-many\n\nx\n`
    const answer = await run(['-t'], { input, command: name })
    expect(answer).toMatchObject({ code: 0, errors: '' })
    // A word without - and @ is a recipient only if the command is called as sendmail.
    const short = { input: 'Subject: word-name\n\nx\n' }
    expect((await run(['ann'], { ...short, command: name })).code).toBe(0)
    expect((await run(['sendmail', 'bob'], short)).code).toBe(0)
    expect((await run(['bob'], short)).code).toBe(64)
    await arrived('ann@home.test', 'word-name')
    await arrived('bob@home.test', 'word-name')
    await arrived('bob@home.test', 'word-many')
  })

  it.each([
    [1, ['-ti', '-oem', '-B8BITMIME', '-Am', '-C', '/etc/mail/sendmail.cf', '-O', 'DeliveryMode=i']],
    [2, ['-itvUG', '-p', 'ESMTP:here', '-h', '3', '-X', '/dev/null', '-d0.1', '-om', '-o7', '-en', '-L', 'tag']],
    [3, ['-t', '-fops@home.test', '-N', 'never', '-R', 'hdrs', '-V', 'id-7', '-n', '-m', '-c', '-x', 'y']],
  ])('takes or ignores the options that other programs give (%i: %j)', async (n, args) => {
    const word = `word-options-${n}-`
    const input = `To: ann@home.test\nSubject: ${word}\n\nx\n`
    expect(await run(args, { input })).toEqual({ code: 0, out: '', errors: '' })
    await arrived('ann@home.test', word)
  })

  it('-N success,failure and -V reach the sender in a delivery status notification', async () => {
    const input = 'To: ann@home.test\nSubject: word-notify\n\nx\n'
    const args = ['-t', '-f', 'bob@home.test', '-N', 'SUCCESS,FAILURE', '-R', 'HDRS', '-V', 'envelope-7']
    expect(await run(args, { input })).toMatchObject({ code: 0, errors: '' })
    const dsn = await arrived('bob@home.test', 'Original-Envelope-Id: envelope-7')
    expect(dsn).toContain('Action: delivered')
  })

  describe('from a program that does not pass on its environment', () => {
    const config = () => join(postern.dataDirectory, 'cli.env')
    beforeAll(() =>
      writeFile(config(), `POSTERN_URL=${postern.url}\nPOSTERN_TOKEN=${token}\nPOSTERN_ORIGIN=home.test\n`),
    )
    const bare = (more: Record<string, string> = {}) => ({ POSTERN_CLI_CONFIG: config(), ...more })

    it.each([
      ['none', 'no PATH at all, as env -i', {}],
      ['cron', "cron's PATH, where an older Node may stand first", { PATH: '/usr/bin:/bin' }],
      ['nowhere', 'a PATH that leads nowhere', { PATH: '/nowhere' }],
    ])('%s: %s', async (key, _, env) => {
      const name = join(postern.dataDirectory, `links-${key}`, 'sendmail')
      await mkdir(dirname(name))
      await symlink(launcher, name)
      const word = `word-bare-${key}`
      const only: Record<string, string> = bare(env)
      const answer = await run(['-FCronDaemon', '-i', '-odi', '-oem', 'ann'], {
        input: `Subject: ${word}\n\nx\n`,
        only,
        command: name,
      })
      expect(answer).toEqual({ code: 0, out: '', errors: '' })
      await arrived('ann@home.test', word)
    })

    it('mailq lists the queue, newaliases has nothing to do', async () => {
      for (const name of ['mailq', 'newaliases']) await symlink(launcher, join(postern.dataDirectory, name))
      expect(await run([], { only: bare(), command: join(postern.dataDirectory, 'mailq') })).toMatchObject({ code: 0 })
      const aliases = await run([], { only: bare(), command: join(postern.dataDirectory, 'newaliases') })
      expect(aliases).toEqual({ code: 0, out: '', errors: '' })
    })

    it('says which Node it needs if it finds none, and the caller may try again', async () => {
      const elsewhere = join(postern.dataDirectory, 'elsewhere/apps/cli')
      await mkdir(elsewhere, { recursive: true })
      await copyFile(launcher, join(elsewhere, 'postern'))
      const old = join(postern.dataDirectory, 'old-node')
      await mkdir(old)
      await writeFile(join(old, 'node'), '#!/bin/sh\necho 20\n', { mode: 0o755 })
      const answer = await run(['-t'], { only: bare({ PATH: old }), command: join(elsewhere, 'postern') })
      expect(answer.code).toBe(75)
      expect(answer.errors).toMatch(/^postern: needs Node 24 or later; found 20\. Run "npm ci" in .*elsewhere\.$/m)
    })
  })

  it.each([
    ['no recipient', ['-i'], {}, 64],
    ['none in the header', ['-t'], {}, 64],
    ['an option that is none', ['-Z', 'ann@home.test'], {}, 64],
    ['a notification that is none', ['-N', 'perhaps', 'ann@home.test'], {}, 65],
    ['never and more', ['-N', 'never,failure', 'ann@home.test'], {}, 65],
    ['a mode that is no sendmail of ours', ['-bd'], {}, 64],
    ['-f without its value, in a cluster', ['-tif'], {}, 64],
    ['-f without its value', ['-f'], {}, 64],
    ['what is no address', ['-f', 'ops@home.test', 'no such@@thing'], {}, 67],
    ['a recipient that is unknown', ['ann@home.test', 'nobody@home.test'], {}, 67],
    ['a sender that is no address', ['-f', 'a b@c', 'ann@home.test'], {}, 65],
    ['a token that is wrong', ['ann@home.test'], { POSTERN_TOKEN: 'wrong' }, 77],
    ['no token', ['ann@home.test'], { POSTERN_TOKEN: '' }, 78],
    ['an API that is away', ['ann@home.test'], { POSTERN_URL: 'http://127.0.0.1:1' }, 75],
  ])('%s: says so, and exits with its code', async (_, args, env, code) => {
    const answer = await run(args, { env, input: 'Subject: word-never\n\nx\n' })
    expect(answer.code).toBe(code)
    expect(answer.errors).toMatch(/^postern: /)
    expect((await postern.mail('ann@home.test')).filter((mail) => mail.includes('word-never'))).toEqual([])
  })

  it('a message over general.maxMessageBytes is EX_DATAERR', async () => {
    const input = `Subject: large\n\n${`${'x'.repeat(70)}\n`.repeat(400_000)}`
    expect(await run(['ann@home.test'], { input })).toMatchObject({
      code: 65,
      errors: expect.stringContaining('general.maxMessageBytes'),
    })
  })

  it('-bs speaks SMTP on standard input and output', async () => {
    const lines = [
      'EHLO cron.home.test',
      'MAIL FROM:<ops@home.test>',
      'RCPT TO:<ann@home.test>',
      'DATA',
      'Subject: word-bs',
      '',
      'x',
      '.',
      'QUIT',
      '',
    ]
    const ways: Record<string, string>[] = [{}, { POSTERN_SMTP: `127.0.0.1:${postern.smtpPort}`, POSTERN_TOKEN: '' }]
    for (const env of ways) {
      const { code, out } = await run(['-bs'], {
        input: lines.join('\r\n').replace('word-bs', `word-bs-${env.POSTERN_SMTP ? 2 : 1}`),
        env,
      })
      expect(code).toBe(0)
      const codes = out
        .trim()
        .split('\r\n')
        .filter((line) => line[3] === ' ')
        .map((line) => line.slice(0, 3))
      expect(codes).toEqual(['220', '250', '250', '250', '354', '250', '221'])
    }
    await arrived('ann@home.test', 'word-bs-1')
    await arrived('ann@home.test', 'word-bs-2')
    const away = await run(['-bs'], { env: { POSTERN_SMTP: '127.0.0.1:1' } })
    expect(away).toMatchObject({ code: 75, out: expect.stringMatching(/^421 4\.3\.0 /) })
  })
})

describe('the delivery utility', () => {
  it('submits a file, explains why it waits, delivers it now, reroutes it, and shows it as sendmail -bp does', async () => {
    const file = join(postern.dataDirectory, 'message.eml')
    await writeFile(file, 'Subject: word-file\n\nx\n')
    const submitted = await run(['submit', file, '--from', 'ops@home.test', 'eve@far.test'])
    expect(submitted.code).toBe(0)
    const id = submitted.out.trim()
    // What is waited for is asked of the API: the command starts a process each time.
    const view = () => postern.api.get<MessageView>(`/v1/messages/${id}`)
    const attempts = async () => (await view()).recipients[0]?.attempts
    const explained = async () => (await run(['explain', id])).out
    await expect.poll(attempts).toBe(1)
    const waits = await explained()
    expect(waits).toMatch(/eve@far\.test: 1 attempt, next 20/)
    expect(waits).toContain('ECONNREFUSED')
    expect((await run(['-bp'])).out).toContain(id)

    expect((await run(['deliver', id])).code).toBe(0)
    await expect.poll(attempts).toBe(2)
    expect(await explained()).toContain('2 attempts')
    expect((await run(['-q'])).code).toBe(0)
    await expect.poll(attempts).toBe(3)
    expect(await explained()).toContain('3 attempts')
    expect((await run(['hold', id])).code).toBe(0)
    await expect.poll(async () => (await view()).state).toBe('held')
    expect(await explained()).toMatch(/^It is held by token:cli\. To release it: postern release/)
    expect((await run(['release', id])).code).toBe(0)

    expect((await run(['reroute', id, 'not a place!'])).code).not.toBe(0)
    // Its own receiver refuses it, which shows where it went.
    expect((await run(['reroute', id, `127.0.0.1:${postern.smtpPort}`])).code).toBe(0)
    const went = async () => (await view()).recipients.some((one) => one.attempts > 3 || one.outcome !== 'waiting')
    await expect.poll(went).toBe(true)
    expect(await explained()).toMatch(/[45] attempts|was (delivered|bounced)/)
  })

  it('prints its help, and says what is missing', async () => {
    const help = await run(['--help'])
    expect(help).toMatchObject({ code: 0, errors: '' })
    for (const word of 'submit deliver run queue show hold release delete bounce reroute explain -bs POSTERN_TOKEN'.split(
      ' ',
    ))
      expect(help.out).toContain(word)
    const one = { code: 0, out: expect.stringMatching(/^usage: postern show ID\n {2}show a message/), errors: '' }
    expect(await run(['show', '--help'])).toEqual(one)
    expect(await run(['help', 'show'])).toEqual(one)
    expect(await run(['reroute', 'x'])).toMatchObject({
      code: 64,
      errors: expect.stringContaining('usage: postern reroute'),
    })
    expect((await run(['submit', '/nowhere', 'ann@home.test'])).code).toBe(66)
    expect((await run([])).code).toBe(64)
  })
})
