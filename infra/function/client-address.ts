import { createHash, timingSafeEqual } from 'node:crypto'

/** The parts of an API Gateway HTTP API event (payload 2.0) that identify the client. */
export type HttpEvent = {
  rawPath: string
  headers: Record<string, string | undefined>
  requestContext: { http: { sourceIp: string } }
}

/**
 * Set by the CDN. The token proves that the request came from the CDN, and the visitor header holds the client's
 * address. edge/api.js overwrites what a visitor sends.
 */
export const edgeTokenHeader = 'x-postern-edge'
const visitorHeader = 'x-postern-visitor'

export function isHttpEvent(event: unknown): event is HttpEvent {
  if (typeof event !== 'object' || event === null || !('requestContext' in event) || !('headers' in event)) return false
  const context = event.requestContext
  return typeof context === 'object' && context !== null && 'http' in context
}

/** Whether the event has one of these tokens. */
export function isFromCdn({ headers }: HttpEvent, edgeTokens: readonly string[]): boolean {
  const shown = headers[edgeTokenHeader]
  return shown !== undefined && edgeTokens.some((token) => same(shown, token))
}

/**
 * Returns the event as if the visitor had called the API directly. Behind the CDN, every request comes from a CDN
 * address, so a login limit per address would lock out unrelated users together. A caller who does not come from the CDN
 * keeps its own address. Both headers are removed, so the API never sees the token.
 */
export function withClientAddress<E extends HttpEvent>(event: E, fromCdn: boolean): E {
  const { [edgeTokenHeader]: _, [visitorHeader]: visitor, ...headers } = event.headers
  if (!fromCdn || visitor === undefined) return { ...event, headers }
  const http = { ...event.requestContext.http, sourceIp: visitor }
  return { ...event, headers, requestContext: { ...event.requestContext, http } }
}

const digest = (text: string) => createHash('sha256').update(text).digest()
const same = (left: string, right: string) => timingSafeEqual(digest(left), digest(right))
