/** The responses of AUTH PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login), encoded in base64. */

/** Never logged, and never kept longer than the check takes. */
export type Login = {
  login: string
  password: string
  /** The identity the client wants to act as (authzid), where it is another one. */
  as?: string
}

export const usernameChallenge = 'VXNlcm5hbWU6'
export const passwordChallenge = 'UGFzc3dvcmQ6'

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const decoder = new TextDecoder('utf-8', { fatal: true })

/** The text a client sent; `null` when it is not base64 of UTF-8. `=` alone is the empty initial response (RFC 4954 §4). */
export function decodeResponse(line: string): string | null {
  if (line === '=') return ''
  if (!base64.test(line)) return null
  try {
    return decoder.decode(Buffer.from(line, 'base64'))
  } catch {
    return null
  }
}

/** `authzid NUL authcid NUL passwd` (RFC 4616 §2). */
export function readPlain(text: string): Login | null {
  const parts = text.split('\0')
  if (parts.length !== 3) return null
  const [as = '', login = '', password = ''] = parts
  if (login === '') return null
  return as === '' || as === login ? { login, password } : { login, password, as }
}
