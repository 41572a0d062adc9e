/** What knows the tokens of the libSQL server. */
export type DatabaseTokens = {
  /** The accepted tokens, the current one first. */
  current: () => readonly string[]
  /** Looks for newer tokens, because the server refused all of these. */
  reread: () => Promise<void>
}

/**
 * Sends requests to a libSQL server whose token may be replaced at any time, on either side first. A request that the
 * server refuses with 401 was not carried out, so it is sent again with the next token. The token that was accepted last
 * is tried first.
 */
export function fetchWithToken({ current, reread }: DatabaseTokens): (request: Request) => Promise<Response> {
  let accepted: string | undefined
  const next = (refused: ReadonlySet<string>) => {
    const left = current().filter((token) => !refused.has(token))
    return left.find((token) => token === accepted) ?? left[0]
  }
  return async (request) => {
    const body = request.method === 'GET' ? null : await request.arrayBuffer()
    const refused = new Set<string>()
    let answer: Response | undefined
    for (let token = next(refused); token !== undefined; ) {
      const headers = new Headers(request.headers)
      headers.set('authorization', `Bearer ${token}`)
      answer = await fetch(request.url, { method: request.method, headers, body })
      if (answer.status !== 401) {
        accepted = token
        return answer
      }
      refused.add(token)
      token = next(refused)
      if (token === undefined) {
        await reread()
        token = next(refused)
      }
    }
    return answer ?? fetch(request.url, { method: request.method, headers: request.headers, body })
  }
}
