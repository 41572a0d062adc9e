import type { ServiceName } from './services.ts'

/**
 * Metrics that workers report in addition to their state. `/metrics` exposes each to Prometheus as `postern_<name>`
 * with the labels worker and service. A counter never decreases while its worker runs, and its name ends in `_total`
 * (the naming rules for metrics and labels at prometheus.io).
 */
type WorkerMetric = { type: 'counter' | 'gauge'; service: ServiceName | 'any'; help: string }

export const workerMetrics = {
  sessions_total: { type: 'counter', service: 'smtp', help: 'SMTP sessions opened.' },
  sessions_refused_total: {
    type: 'counter',
    service: 'smtp',
    help: 'SMTP sessions refused at connection or greeting.',
  },
  messages_accepted_total: { type: 'counter', service: 'smtp', help: 'Messages accepted with 250 at the end of data.' },
  messages_refused_total: { type: 'counter', service: 'smtp', help: 'Messages refused at the end of data.' },
  accepted_bytes_total: { type: 'counter', service: 'smtp', help: 'Bytes of accepted messages.' },
  recipients_accepted_total: { type: 'counter', service: 'smtp', help: 'Recipients of accepted messages.' },
  commands_refused_total: { type: 'counter', service: 'smtp', help: 'SMTP commands answered 4xx or 5xx.' },
  protocol_errors_total: {
    type: 'counter',
    service: 'smtp',
    help: 'SMTP commands out of sequence, unknown or malformed.',
  },
  auth_succeeded_total: { type: 'counter', service: 'smtp', help: 'SMTP logins that succeeded.' },
  auth_failed_total: { type: 'counter', service: 'smtp', help: 'SMTP logins that failed.' },
  tls_sessions_total: { type: 'counter', service: 'smtp', help: 'SMTP sessions that used TLS.' },
  timeouts_total: { type: 'counter', service: 'smtp', help: 'SMTP sessions ended because the client was silent.' },
  offences_waiting: { type: 'gauge', service: 'smtp', help: 'Client offences not yet reported to the API.' },
  spool_pending_bytes: { type: 'gauge', service: 'smtp', help: 'Bytes waiting to be written to the spool.' },
  spool_free_bytes: { type: 'gauge', service: 'smtp', help: 'Free bytes of the file system that holds the spool.' },
  queue_delivered_total: { type: 'counter', service: 'queue', help: 'Recipients whose mail was delivered.' },
  queue_deferred_total: {
    type: 'counter',
    service: 'queue',
    help: 'Recipients whose attempt ended with a temporary failure.',
  },
  queue_bounced_total: { type: 'counter', service: 'queue', help: 'Recipients returned to the sender.' },
  queue_discarded_total: { type: 'counter', service: 'queue', help: 'Recipients discarded by a rule or an operator.' },
  queue_attempts_total: { type: 'counter', service: 'queue', help: 'Delivery attempts made.' },
  queue_deliveries_busy: { type: 'gauge', service: 'queue', help: 'Deliveries in progress.' },
  queue_jobs_in_memory: { type: 'gauge', service: 'queue', help: 'Delivery jobs held in memory.' },
  queue_messages_in_memory: { type: 'gauge', service: 'queue', help: 'Messages held in memory by the Queue Manager.' },
  queue_spool_freed_bytes_total: {
    type: 'counter',
    service: 'queue',
    help: 'Bytes of spool segments that were deleted.',
  },
  heap_used_bytes: { type: 'gauge', service: 'any', help: 'Bytes of the JavaScript heap in use.' },
  log_lines_total: { type: 'counter', service: 'any', help: 'Log lines written to the log server.' },
  log_lines_dropped_total: {
    type: 'counter',
    service: 'any',
    help: 'Log lines dropped because the log server did not accept them.',
  },
} as const satisfies Record<string, WorkerMetric>
export type WorkerMetricName = keyof typeof workerMetrics

/** Metrics about each worker that the API adds. */
export const workerStateMetrics = {
  worker_up: 'Whether the worker reported within 20 seconds: 1 or 0.',
  worker_running: 'Whether the worker is in the state its service should have: 1 or 0.',
  worker_sessions: 'SMTP sessions, or deliveries, open now.',
  worker_revision: 'Revision of the settings in force.',
  worker_lag_revisions: 'How many revisions the worker is behind.',
  worker_refused_revision: 'Whether the worker refused the newest revision: 1 or 0.',
  worker_events_unsent: 'Events on the worker’s disk that storage has not acknowledged.',
  queued_messages: 'Messages waiting in the queue.',
  queued_recipients: 'Recipients waiting in the queue.',
} as const
export type WorkerStateMetric = keyof typeof workerStateMetrics
