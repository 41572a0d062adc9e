/**
 * The console's refresh token travels in a cookie that no script can read. Only a request of our own pages may use it or be
 * given it: another site must neither act with a person's session nor slip them one of its own (login CSRF).
 */

const month = 30 * 86_400

export const cookieTokenPrefix = 'psc_'

/** The token in the cookie of a request of our own pages. */
export function refreshCookieOf(request: Request): string | undefined {
  if (!isOwnPage(request)) return undefined
  const name = nameFor(request)
  const pairs = (request.headers.get('cookie') ?? '').split(';').map((pair) => pair.trim())
  const value = pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1)
  return value?.startsWith(cookieTokenPrefix) ? value : undefined
}

/** `Set-Cookie` with a token; `undefined` takes the cookie away. */
export function refreshCookie(request: Request, token: string | undefined): string {
  const isTls =
    new URL(request.url).protocol === 'https:' ||
    /^https:/i.test(request.headers.get('origin') ?? '') ||
    request.headers.get('x-forwarded-proto')?.trim().toLowerCase() === 'https'
  const rest = `Path=/v1/auth; HttpOnly; SameSite=Strict${isTls ? '; Secure' : ''}`
  return `${nameFor(request)}=${token ?? ''}; Max-Age=${token === undefined ? 0 : month}; ${rest}`
}

/** Cookies are shared by all ports of a host; two Posterns on one machine have a session each. */
function nameFor(request: Request): string {
  const { port } = new URL(request.url)
  return port ? `postern_refresh_${port}` : 'postern_refresh'
}

/**
 * Browsers say where a request comes from. Those that do not, over plain HTTP, ask before another site may send JSON, and we
 * do not let it. No browser: nothing to forge.
 */
export function isOwnPage({ headers }: Request): boolean {
  const site = headers.get('sec-fetch-site')
  if (site !== null) return site === 'same-origin'
  return headers.get('origin') === null || /^application\/json\s*(;|$)/i.test(headers.get('content-type') ?? '')
}
