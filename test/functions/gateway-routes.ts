import { join } from 'node:path'

/** The routes of the deployed gateway, each with a bucket of tokens that fills up again (`infra/doors.ts`). */
type Route = { path: string; throttle: { rateLimit: number; burstLimit: number } }

// By path: infra is no room of these tests.
const doors = (await import(join(import.meta.dirname, '../../infra/doors.ts'))) as { gatewayRoutes: readonly Route[] }

export type RouteTable = {
  /** `none`: the gateway has no such route. `throttled`: the route has had too many requests. */
  take(path: string): { routeKey: string } | 'none' | 'throttled'
}

export function startRoutes(): RouteTable {
  const buckets = new Map(
    doors.gatewayRoutes.map((route) => [route, { left: route.throttle.burstLimit, at: Date.now() }]),
  )
  return {
    take: (path) => {
      const route = longestMatch(path)
      const bucket = route && buckets.get(route)
      if (!bucket) return 'none'
      const { rateLimit, burstLimit } = route.throttle
      const now = Date.now()
      bucket.left = Math.min(burstLimit, bucket.left + ((now - bucket.at) / 1000) * rateLimit)
      bucket.at = now
      if (bucket.left < 1) return 'throttled'
      bucket.left -= 1
      return { routeKey: `ANY ${route.path}` }
    },
  }
}

function longestMatch(path: string): Route | undefined {
  const matches = ({ path: own }: Route) => {
    const open = own.replace('{proxy+}', '')
    return open === own ? path === own : path.startsWith(open) && path.length > open.length
  }
  return doors.gatewayRoutes.filter(matches).toSorted((a, b) => b.path.length - a.path.length)[0]
}
