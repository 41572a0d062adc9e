/** A next host that a connection goes to. */
export type Peer = {
  /** What MX or the route called it; used for TLS server name and in events. */
  host: string
  address: string
  port: number
}
