/** A DNS zone as data. A name that is not listed does not exist. A type that is not listed gives an empty answer. */

export type Records = {
  txt?: (string | string[])[]
  a?: string[]
  aaaa?: string[]
  mx?: [preference: number, host: string][]
  ptr?: string[]
}
export type Zone = Record<string, Records | 'servfail' | 'timeout'>

/** Answers like Node's resolver, including errors. `asked` is called for each query. */
export function resolverOf(zone: Zone, asked: (question: string) => void = () => {}) {
  return async (name: string, type: string): Promise<unknown[]> => {
    asked(`${type} ${name}`)
    const found = zone[name.toLowerCase().replace(/\.$/, '')]
    if (found === 'servfail') throw failure('ESERVFAIL')
    if (found === 'timeout') throw failure('ETIMEOUT')
    if (!found) throw failure('ENOTFOUND')
    const records = recordsOf(found, type)
    if (records.length === 0) throw failure('ENODATA')
    return records
  }
}

function recordsOf(found: Records, type: string): unknown[] {
  switch (type) {
    case 'TXT':
      return (found.txt ?? []).map((text) => [text].flat())
    case 'A':
      return found.a ?? []
    case 'AAAA':
      return found.aaaa ?? []
    case 'MX':
      return (found.mx ?? []).map(([priority, exchange]) => ({ priority, exchange }))
    case 'PTR':
      return found.ptr ?? []
    default:
      return []
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code })
}
