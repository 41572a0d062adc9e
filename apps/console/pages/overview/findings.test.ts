import { defaultSettings } from '@postern/contract/settings.ts'
import type { WorkerView } from '@postern/contract/views.ts'
import { expect, test } from 'vitest'
import { findingsOf } from './findings.ts'

const now = Date.parse('2026-01-01T12:00:00Z')
const worker: WorkerView = {
  id: 'smtp-1',
  service: 'smtp',
  version: '0.1.0',
  pid: 1,
  observed: 'running',
  live: true,
  revision: 7,
  otherHistory: false,
  lag: 0,
  sessions: 0,
  listeners: [],
  eventsUnsent: 0,
  startedAt: '2026-01-01T00:00:00Z',
  heartbeatAt: '2026-01-01T11:59:00Z',
}
const service = {
  name: 'smtp' as const,
  title: 'SMTP service',
  version: '1',
  desired: 'running' as const,
  generation: 1,
  observed: 'running' as const,
  workers: [worker],
}
const total = { received: 5, delivered: 3, bounced: 1, discarded: 1, duplicates: 0, queued: 0, balance: 0 }

test('nothing is wrong when nothing is wrong', () => {
  const books = { total, eventsUnsent: 0 }
  const settings = defaultSettings()
  settings.general.hostname = 'mail.example.org'
  expect(findingsOf({ now, services: [service], workers: [worker], books, settings })).toEqual([])
})

test('what is worst stands first', () => {
  const found = findingsOf({
    now,
    services: [{ ...service, desired: 'stopped' }],
    workers: [
      { ...worker, lag: 2 },
      { ...worker, id: 'smtp-2', observed: 'degraded', detail: 'port 25 in use' },
      { ...worker, id: 'smtp-3', live: false },
    ],
  })
  expect(found.map(({ severity, title }) => `${severity}: ${title}`)).toEqual([
    'danger: smtp-2 is degraded',
    'warn: SMTP service is stopped',
    'warn: smtp-1 is 2 revisions behind',
    'warn: smtp-3 is silent',
  ])
})

test('a refused revision, a service without workers, books that do not balance', () => {
  const found = findingsOf({
    now,
    services: [{ ...service, workers: [] }],
    workers: [{ ...worker, refused: { revision: 8, error: 'no' } }],
    books: { total: { ...total, balance: 1 }, eventsUnsent: 0 },
  })
  expect(found.map(({ title }) => title)).toEqual([
    'SMTP service has no worker',
    'smtp-1 refused revision 8',
    'The books do not balance: 1 missing',
  ])
})

test('the books are judged even while events are on their way: they do not come from events', () => {
  expect(findingsOf({ now, books: { total: { ...total, balance: 3 }, eventsUnsent: 2 } })).toHaveLength(1)
})

test('a relay list that covers the Internet', () => {
  const found = findingsOf({ now, relay: ['127.0.0.0/8', '0.0.0.0/1', '128.0.0.0/1', '::/0'] })
  expect(found.map(({ severity, to }) => `${severity} ${to}`)).toEqual(['danger /lists/relay', 'danger /lists/relay'])
  expect(findingsOf({ now, relay: ['127.0.0.0/8', '::1', '192.0.2.0/24'] })).toEqual([])
})

test('certificates near their end, dangerous values', () => {
  const settings = defaultSettings()
  settings.general.hostname = 'mail.example.org'
  settings.general.relayMode = 'anyone'
  settings.general.verifySpf = 'enforce'
  const found = findingsOf({
    now,
    settings,
    certificates: [
      { name: 'old', notAfter: '2025-12-31T00:00:00Z' },
      { name: 'soon', notAfter: '2026-01-10T00:00:00Z' },
      { name: 'fine', notAfter: '2026-12-31T00:00:00Z' },
    ],
  })
  expect(found.map(({ title }) => title)).toEqual([
    'Certificate old has expired',
    'Relay control: anyone',
    'Certificate soon expires in 8 days',
  ])
})

test('a host name that is not set or not fully qualified', () => {
  const titles = (hostname: string) => {
    const settings = defaultSettings()
    settings.general.hostname = hostname
    return findingsOf({ now, settings }).map(({ severity, title }) => `${severity}: ${title}`)
  }
  expect(titles('')).toEqual(['warn: The host name is not set'])
  expect(titles('vm')).toEqual(['warn: The host name vm is not fully qualified'])
  expect(titles('mail.example.org')).toEqual([])
})
