import { createHash, timingSafeEqual } from 'node:crypto'

/** The parts of an API Gateway HTTP API event (payload 2.0) that tell who asks. */
export type HttpEvent = {
  headers: Record<string, string | undefined>
  requestContext: { http: { sourceIp: string } }
}

/** Set by the CDN: proof that it was the CDN, and the address it was asked from. edge/api.js overwrites what a visitor sends. */
export const edgeTokenHeader = 'x-postern-edge'
const visitorHeader = 'x-postern-visitor'

export function isHttpEvent(event: unknown): event is HttpEvent {
  if (typeof event !== 'object' || event === null || !('requestContext' in event) || !('headers' in event)) return false
  const context = event.requestContext
  return typeof context === 'object' && context !== null && 'http' in context
}

/**
 * The event as if the visitor had called the API itself. Behind the CDN every request comes from one of the CDN's addresses, so a
 * login limit by address would lock out strangers together. The visitor's address is believed only beside the CDN's token; a
 * direct caller keeps its own address. Both headers are taken away: the API never sees the token.
 */
export function withClientAddress<E extends HttpEvent>(event: E, edgeToken: string | undefined): E {
  const { [edgeTokenHeader]: shown, [visitorHeader]: visitor, ...headers } = event.headers
  const believed = edgeToken !== undefined && shown !== undefined && same(shown, edgeToken) && visitor !== undefined
  if (!believed) return { ...event, headers }
  const http = { ...event.requestContext.http, sourceIp: visitor }
  return { ...event, headers, requestContext: { ...event.requestContext, http } }
}

const digest = (text: string) => createHash('sha256').update(text).digest()
const same = (left: string, right: string) => timingSafeEqual(digest(left), digest(right))
