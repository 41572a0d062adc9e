import type { MiddlewareHandler } from 'hono'

/** Sets security headers on every answer. Our own pages set a wider Content-Security-Policy themselves. */
export function securityHeaders(corsOrigins: string[]): MiddlewareHandler {
  return async (context, next) => {
    const origin = context.req.header('origin')
    const isAllowed = origin !== undefined && corsOrigins.includes(origin)
    if (context.req.method === 'OPTIONS' && isAllowed) {
      context.res = new Response(null, { status: 204, headers: preflight })
    } else await next()
    const { headers } = context.res
    for (const [name, value] of Object.entries(always)) if (!headers.has(name)) headers.set(name, value)
    if (isAllowed) {
      headers.set('access-control-allow-origin', origin)
      headers.append('vary', 'origin')
      headers.set('access-control-expose-headers', 'etag')
    }
  }
}

const preflight = {
  'access-control-allow-methods': 'GET, POST, PATCH, DELETE',
  'access-control-allow-headers':
    'authorization, content-type, if-match, idempotency-key, postern-comment, last-event-id',
  'access-control-max-age': '600',
}

const always = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'strict-transport-security': 'max-age=31536000',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
}
