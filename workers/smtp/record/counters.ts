/** The counters for /metrics, under their Prometheus names without the product's prefix. */
export type Counters = {
  sessions_total: number
  sessions_refused_total: number
  messages_accepted_total: number
  messages_refused_total: number
  accepted_bytes_total: number
  recipients_accepted_total: number
  commands_refused_total: number
  protocol_errors_total: number
  auth_succeeded_total: number
  auth_failed_total: number
  tls_sessions_total: number
  timeouts_total: number
}

export function newCounters(): Counters {
  return {
    sessions_total: 0,
    sessions_refused_total: 0,
    messages_accepted_total: 0,
    messages_refused_total: 0,
    accepted_bytes_total: 0,
    recipients_accepted_total: 0,
    commands_refused_total: 0,
    protocol_errors_total: 0,
    auth_succeeded_total: 0,
    auth_failed_total: 0,
    tls_sessions_total: 0,
    timeouts_total: 0,
  }
}
