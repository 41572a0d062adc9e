/**
 * Where requests come in: people through the CDN, workers at the gateway. Imports nothing, because test/functions builds
 * its CDN and its gateway from this file too.
 */

/** Requests a second, and how many at once, before the gateway answers 429. Each route has its own. */
type Throttle = { rateLimit: number; burstLimit: number }
export type GatewayRoute = { path: string; throttle: Throttle }

/** Requests of a stranger who only looks around. */
const few: Throttle = { rateLimit: 50, burstLimit: 100 }

/**
 * What the function answers. The gateway refuses all other paths without starting it. The longest path that matches
 * counts, so workers, people and those who sign in cannot use up each other's requests. A busy node of two workers makes
 * about ten requests a second.
 */
export const gatewayRoutes: readonly GatewayRoute[] = [
  { path: '/v1/worker/{proxy+}', throttle: { rateLimit: 1000, burstLimit: 2000 } },
  { path: '/v1/auth/{proxy+}', throttle: { rateLimit: 20, burstLimit: 40 } },
  { path: '/v1/{proxy+}', throttle: { rateLimit: 200, burstLimit: 400 } },
  { path: '/.well-known/{proxy+}', throttle: few },
  { path: '/openapi.json', throttle: few },
  { path: '/docs', throttle: few },
  { path: '/docs/{proxy+}', throttle: few },
  { path: '/healthz', throttle: few },
]

/** Paths that the CDN forwards to the gateway. Everything else is the console. */
export const cdnPatterns = ['/v1/*', '/.well-known/*', '/openapi.json', '/docs', '/docs/*', '/healthz'] as const

/** What the gateway's own address offers without the CDN: the workers' routes, and what names no person. */
const withoutCdn = /^\/(?:v1\/worker\/|\.well-known\/|healthz$)/

/** `path` as the gateway sends it. Judged as the API resolves it: `/v1/worker/../users` is `/v1/users`. */
export const mayBypassCdn = (path: string): boolean =>
  URL.canParse(`https://api${path}`) && withoutCdn.test(new URL(`https://api${path}`).pathname)

/** Statuses that CloudFront would keep for ten seconds unless it is told not to. */
export const cachedErrors = [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504] as const

/** Requests of one address in five minutes, before the CDN's firewall answers 429. */
export const visitorLimits = { signIn: 100, all: 6000 } as const
