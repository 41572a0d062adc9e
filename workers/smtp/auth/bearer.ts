/** The responses of AUTH OAUTHBEARER (RFC 7628 §3.1) and XOAUTH2 (its predecessor), decoded from base64. */

/** Never logged, and never kept longer than the check takes. `login`: the user name, where the client gives one. */
export type Bearer = { login?: string; token: string }

/** RFC 6750 §2.1. */
const bearer = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i

/** `n,a=user,^Ahost=…^Aport=…^Aauth=Bearer token^A^A`. `null` for anything else. */
export function readOauthBearer(text: string): Bearer | null {
  const [, authzid = '', pairs = ''] = /^n,(?:a=([^,\x01]*))?,\x01(.*)\x01\x01$/s.exec(text) ?? []
  const token = valueAt(pairs, 'auth')
  const login = authzid.replace(/=2C/g, ',').replace(/=3D/g, '=')
  return token === null ? null : { token, ...(login === '' ? {} : { login }) }
}

/** `user=name^Aauth=Bearer token^A^A`. */
export function readXoauth2(text: string): Bearer | null {
  const [, login = '', pairs = ''] = /^user=([^\x01]+)\x01(.*)\x01\x01$/s.exec(text) ?? []
  const token = valueAt(pairs, 'auth')
  return token === null ? null : { login, token }
}

function valueAt(pairs: string, key: string): string | null {
  const found = pairs.split('\x01').filter((pair) => pair.startsWith(`${key}=`))
  return found.length === 1 ? (bearer.exec((found[0] as string).slice(key.length + 1))?.[1] ?? null) : null
}

/** What a client reads before its 535 (RFC 7628 §3.2.2); it never tells what was wrong. */
export function refusalChallenge(mechanism: string): string {
  const said =
    mechanism === 'OAUTHBEARER' ? { status: 'invalid_token' } : { status: '400', schemes: 'Bearer', scope: 'smtp' }
  return Buffer.from(JSON.stringify(said)).toString('base64')
}
