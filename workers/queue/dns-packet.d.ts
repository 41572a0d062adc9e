declare module 'dns-packet' {
  type Tlsa = { usage: number; selector: number; matchingType: number; certificate: Buffer }
  export type Answer = { name: string; ttl?: number } & (
    | { type: 'TLSA'; data: Tlsa }
    | { type: 'CNAME'; data: string }
    | { type: 'MX' | 'A' | 'AAAA'; data: unknown }
  )
  type Packet = {
    rcode: string
    flag_ad: boolean
    flag_tc: boolean
    questions: { type: string; name: string }[]
    answers: Answer[]
  }
  const packet: {
    RECURSION_DESIRED: number
    AUTHENTIC_DATA: number
    encode(query: object): Buffer
    /** Throws when it is no DNS message. */
    decode(message: Buffer): Packet
  }
  export default packet
}
