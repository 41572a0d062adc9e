import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { allowedAddressesOf } from './allowed-addresses.ts'
import { CheckedHosts } from './checked-hosts.ts'
import { type Post, Poster } from './post.ts'

const open: Server[] = []
const posters: Poster[] = []
afterEach(() => {
  for (const server of open.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
  for (const poster of posters.splice(0)) poster.close()
})

type Handler = (request: IncomingMessage, response: ServerResponse) => void

async function listening(handler: Handler, host = '127.0.0.1'): Promise<number> {
  const server = createServer(handler)
  open.push(server)
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return (server.address() as AddressInfo).port
}

function poster({ names = {}, reach = ['127.0.0.0/8'] }: { names?: Record<string, string[]>; reach?: string[] } = {}) {
  const made = new Poster(new CheckedHosts(allowedAddressesOf(reach), async (host) => names[host] ?? []))
  posters.push(made)
  return made
}

const text = 'the body'
function post(url: string, more: Partial<Post> = {}): Post {
  const body = async function* () {
    yield Buffer.from(text)
  }
  return { url, headers: {}, length: text.length, body, timeoutMs: 2000, maxAnswer: 100, ...more }
}

describe('a post', () => {
  it('goes to the address that was checked, with the name in Host, and brings the answer', async () => {
    let host: string | undefined
    let body = ''
    const port = await listening(async (request, response) => {
      host = request.headers.host
      body = Buffer.concat(await request.toArray()).toString()
      response.end('yes')
    })
    const answer = await poster({ names: { 'hook.test': ['127.0.0.1'] } }).post(post(`http://hook.test:${port}/a?b=c`))
    expect(answer).toMatchObject({ status: 200, body: Buffer.from('yes') })
    expect(host).toBe(`hook.test:${port}`)
    expect(body).toBe(text)
  })

  it('asks for the name once: what it means a moment later does not matter', async () => {
    const port = await listening((_, response) => response.end())
    const answers = [['127.0.0.1'], ['169.254.169.254']]
    let asked = 0
    const made = new Poster(new CheckedHosts(allowedAddressesOf(['127.0.0.0/8']), async () => answers[asked++] ?? []))
    posters.push(made)
    await expect(made.post(post(`http://hook.test:${port}/`))).resolves.toMatchObject({ status: 200 })
    expect(asked).toBe(1)
    await expect(made.post(post(`http://hook.test:${port}/`))).rejects.toMatchObject({ trouble: 'forbidden' })
  })

  it('goes to no forbidden address, whatever the name is', async () => {
    const names = { 'inside.test': ['10.0.0.1', '::1'], 'half.test': ['10.0.0.1', '127.0.0.1'], 'none.test': [] }
    const sender = poster({ names })
    for (const url of ['http://inside.test/', 'http://[::1]/', 'http://0x0a000001/', 'http://10.0.0.1/'])
      await expect(sender.post(post(url)), url).rejects.toMatchObject({ trouble: 'forbidden' })
    await expect(sender.post(post('http://none.test/'))).rejects.toMatchObject({ trouble: 'unreachable' })
    const port = await listening((_, response) => response.end())
    await expect(sender.post(post(`http://half.test:${port}/`))).resolves.toMatchObject({ status: 200 })
  })

  it('follows no redirection', async () => {
    let count = 0
    const port = await listening((_, response) => {
      count++
      response.writeHead(307, { location: '/again' }).end()
    })
    await expect(poster().post(post(`http://127.0.0.1:${port}/`))).resolves.toMatchObject({ status: 307 })
    expect(count).toBe(1)
  })

  it('tries the next address when nobody listens at the first', async () => {
    const port = await listening((_, response) => response.end('second'), '127.0.0.2')
    const names = { 'two.test': ['127.0.0.3', '127.0.0.2'] }
    await expect(poster({ names }).post(post(`http://two.test:${port}/`))).resolves.toMatchObject({ status: 200 })
  })

  it('ends in its time, whether the other side is silent or drips', async () => {
    const silent = await listening(() => {})
    await expect(poster().post(post(`http://127.0.0.1:${silent}/`, { timeoutMs: 100 }))).rejects.toMatchObject({
      trouble: 'timeout',
    })
    const drips = await listening((_, response) => {
      response.writeHead(200)
      const timer = setInterval(() => response.write('.'), 20)
      response.once('close', () => clearInterval(timer))
    })
    await expect(poster().post(post(`http://127.0.0.1:${drips}/`, { timeoutMs: 200 }))).rejects.toMatchObject({
      trouble: 'timeout',
    })
  })

  it('takes no answer that is too long, or only its beginning', async () => {
    const port = await listening((_, response) => response.end('x'.repeat(1000)))
    await expect(poster().post(post(`http://127.0.0.1:${port}/`))).rejects.toMatchObject({ trouble: 'nonsense' })
    const cut = await poster().post(post(`http://127.0.0.1:${port}/`, { cutAnswer: true }))
    expect(cut.body.length).toBe(100)
  })

  it('is sent again when the connection that was kept has died', async () => {
    let count = 0
    const port = await listening((request, response) => {
      request.resume()
      request.on('end', () => {
        response.end()
        if (++count === 1) setTimeout(() => request.socket.destroy(), 20)
      })
    })
    const sender = poster()
    await sender.post(post(`http://127.0.0.1:${port}/`))
    await sender.post(post(`http://127.0.0.1:${port}/`))
    await new Promise((resolve) => setTimeout(resolve, 50))
    await expect(sender.post(post(`http://127.0.0.1:${port}/`))).resolves.toMatchObject({ status: 200 })
  })

  it('fails with the body’s own error when the body cannot be read', async () => {
    const port = await listening((request) => void request.resume())
    const body = async function* () {
      yield Buffer.from('the')
      throw new Error('the disk')
    }
    await expect(poster().post(post(`http://127.0.0.1:${port}/`, { body }))).rejects.toThrow('the disk')
  })

  it('takes an answer that comes before the end of a long body', async () => {
    const port = await listening((_, response) => void response.writeHead(413, { connection: 'close' }).end('too long'))
    const chunk = Buffer.alloc(1 << 16)
    const body = async function* () {
      for (let i = 0; i < 500; i++) yield chunk
    }
    const answer = poster().post(post(`http://127.0.0.1:${port}/`, { body, length: 500 << 16 }))
    await expect(answer).resolves.toMatchObject({ status: 413 })
  })
})
