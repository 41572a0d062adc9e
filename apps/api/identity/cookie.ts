/**
 * The console's refresh token is in a cookie that scripts cannot read. Only requests from our own pages may use or
 * receive it. Another site must not act with a person's session, nor replace it with one of its own (login CSRF).
 */

const month = 30 * 86_400

export const cookieTokenPrefix = 'psc_'

/** Returns the token from the cookie, if the request comes from one of our own pages. */
export function refreshCookieOf(request: Request): string | undefined {
  if (!isOwnPage(request)) return undefined
  const name = nameFor(request)
  const pairs = (request.headers.get('cookie') ?? '').split(';').map((pair) => pair.trim())
  const value = pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1)
  return value?.startsWith(cookieTokenPrefix) ? value : undefined
}

/** Builds `Set-Cookie` with a token. `undefined` removes the cookie. */
export function refreshCookie(request: Request, token: string | undefined): string {
  const isTls =
    new URL(request.url).protocol === 'https:' ||
    /^https:/i.test(request.headers.get('origin') ?? '') ||
    request.headers.get('x-forwarded-proto')?.trim().toLowerCase() === 'https'
  const rest = `Path=/v1/auth; HttpOnly; SameSite=Strict${isTls ? '; Secure' : ''}`
  return `${nameFor(request)}=${token ?? ''}; Max-Age=${token === undefined ? 0 : month}; ${rest}`
}

/**
 * All ports of a host share cookies, so the port is part of the name. Two Posterns on one machine then have separate
 * sessions.
 */
function nameFor(request: Request): string {
  const { port } = new URL(request.url)
  return port ? `postern_refresh_${port}` : 'postern_refresh'
}

/**
 * Returns whether a request comes from one of our own pages, or not from a browser. Browsers send Sec-Fetch-Site. Those
 * that do not, over plain HTTP, send a preflight before another site may post JSON, and we do not allow it. A request
 * without Origin is not from a browser, so there is nothing to forge.
 */
export function isOwnPage({ headers }: Request): boolean {
  const site = headers.get('sec-fetch-site')
  if (site !== null) return site === 'same-origin'
  return headers.get('origin') === null || /^application\/json\s*(;|$)/i.test(headers.get('content-type') ?? '')
}
