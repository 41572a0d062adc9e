/** uuidv7 (RFC 9562 §5.7 and §6.2 method 1), lower case. Ids of one process grow strictly, also within a millisecond. */
let last = 0
let counter = 0

export function newId(now: number): string {
  counter = now > last ? 0 : counter + 1
  last = Math.max(last, now)
  if (counter > 0xfff) {
    counter = 0
    last++
  }
  const octets = [...crypto.getRandomValues(new Uint8Array(8))]
  octets[0] = 0x80 | ((octets[0] ?? 0) & 0x3f)
  const time = last.toString(16).padStart(12, '0')
  const tail = octets.map((octet) => octet.toString(16).padStart(2, '0')).join('')
  return `${time.slice(0, 8)}-${time.slice(8)}-${(0x7000 + counter).toString(16)}-${tail.slice(0, 4)}-${tail.slice(4)}`
}
