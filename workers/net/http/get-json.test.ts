import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { allowedAddressesOf } from './allowed-addresses.ts'
import { CheckedHosts } from './checked-hosts.ts'
import { getJson } from './get-json.ts'

const open: Server[] = []
afterEach(() => {
  for (const server of open.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function listening(handler: RequestListener): Promise<string> {
  const server = createServer(handler)
  open.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `keys.test:${(server.address() as AddressInfo).port}`
}

const hosts = (...reach: string[]) => new CheckedHosts(allowedAddressesOf(reach), async () => ['127.0.0.1'])
const troubleOf = (url: string, at = hosts('127.0.0.0/8')) =>
  getJson(url, at).then(
    () => 'none',
    (error) => error.trouble,
  )

describe('getJson', () => {
  it('asks the address that was looked at, by the name that was typed', async () => {
    const host = await listening(({ headers, url }, response) => response.end(JSON.stringify([headers.host, url])))
    expect(await getJson(`http://${host}/keys?a=1`, hosts('127.0.0.0/8'))).toEqual([host, '/keys?a=1'])
  })

  it('does not reach into the network that it stands in', async () => {
    let asked = 0
    const host = await listening((_, response) => {
      asked++
      response.end('{}')
    })
    expect(await troubleOf(`http://${host}/`, hosts())).toBe('forbidden')
    expect(await troubleOf('file:///etc/passwd')).toBe('forbidden')
    expect(asked).toBe(0)
  })

  it('follows no redirect, and takes no nonsense', async () => {
    const host = await listening(({ url }, response) => {
      if (url === '/moved') response.writeHead(302, { location: '/' }).end()
      else if (url === '/endless') response.end('x'.repeat(300_000))
      else response.end('<html>')
    })
    for (const path of ['moved', 'endless', 'page']) expect(await troubleOf(`http://${host}/${path}`)).toBe('nonsense')
    expect(await troubleOf('http://127.0.0.1:1/')).toBe('unreachable')
  })
})
