import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP } from 'node:net'
import type { CheckedHosts } from './checked-hosts.ts'
import { HookFailure } from './hook-failure.ts'

/** Maximum size of a response in bytes. */
const maxAnswer = 262_144
const timeoutMs = 10_000

/**
 * Sends one GET to a URL that an administrator entered, or that such a URL's response named. It uses a checked address,
 * follows no redirect, and ends within 10 s. Rejects with HookFailure.
 */
export async function getJson(text: string, hosts: CheckedHosts): Promise<unknown> {
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new HookFailure('forbidden', `${url.protocol} URLs are not supported`)
  const until = performance.now() + timeoutMs
  const [address] = await hosts.addressesOf(url.hostname, timeoutMs)
  const signal = AbortSignal.timeout(Math.max(1, Math.ceil(until - performance.now())))
  try {
    return JSON.parse(await read(url, address as string, signal))
  } catch (error) {
    if (error instanceof HookFailure) throw error
    if (signal.aborted) throw new HookFailure('timeout', `${url.host} did not answer within ${timeoutMs} ms`)
    if (error instanceof SyntaxError) throw new HookFailure('nonsense', `${url.host}: the answer is not JSON`)
    const { code, message } = error as NodeJS.ErrnoException
    throw new HookFailure('unreachable', `${url.host}: ${code ?? message}`)
  }
}

async function read(url: URL, address: string, signal: AbortSignal): Promise<string> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const isHttps = url.protocol === 'https:'
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = (isHttps ? requestHttps : requestHttp)({
      agent: false,
      host: address,
      port: url.port || (isHttps ? 443 : 80),
      path: `${url.pathname}${url.search}`,
      headers: { host: url.host, accept: 'application/json', 'user-agent': 'Postern' },
      signal,
      ...(isHttps && !isIP(host) ? { servername: host } : {}),
    })
    request.once('response', resolve).once('error', reject).end()
  })
  if (response.statusCode !== 200) {
    response.destroy()
    throw new HookFailure('nonsense', `${url.host} answered ${response.statusCode}`)
  }
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxAnswer) throw new HookFailure('nonsense', `the response is longer than ${maxAnswer} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
