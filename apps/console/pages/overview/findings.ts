import { tooBroad } from '@postern/contract/address-coverage.ts'
import { daysLeft, expiryWarnings } from '@postern/contract/certificates.ts'
import { isBare } from '@postern/contract/host-name.ts'
import { type SettingGroup, settingGroupNames, settingGroups } from '@postern/contract/settings.ts'
import type { Books, QueueDoctorItem, ServiceView, WorkerView } from '@postern/contract/views.ts'
import { dequal } from 'dequal/lite'
import { fieldsOf } from '../../form/field.ts'
import { valueText } from '../../review/diff-lines.ts'
import { formatSpan, plural } from '../../ui/format.ts'
import type { Finding } from './finding.ts'
import { ofTraffic, ofWaiting, type QuarterHour } from './incidents.ts'

/** Finds what needs attention, worst first. Pure: all input is passed in. */
export type Observed = {
  now: number
  services?: readonly ServiceView[] | undefined
  workers?: readonly WorkerView[] | undefined
  queue?: { messages: number; oldestReceivedAt?: string | undefined; byState: Record<string, number> } | undefined
  books?: Pick<Books, 'total' | 'eventsUnsent' | 'queuedByWorkers'> | undefined
  settings?: Partial<Record<SettingGroup, Record<string, unknown>>> | undefined
  /** The values of the relay list. */
  relay?: readonly string[] | undefined
  certificates?: readonly { name: string; notAfter?: string | undefined; trouble?: string | undefined }[] | undefined
  /** Why mail waits, in descending order of messages. */
  waiting?: readonly QueueDoctorItem[] | undefined
  /** The last day. */
  traffic?: readonly QuarterHour[] | undefined
  hasDomain?: boolean | undefined
}

const order = { danger: 0, warn: 1, info: 2 }

export function findingsOf(seen: Observed): Finding[] {
  const found = [
    ...(seen.services ?? []).flatMap(ofService),
    ...(seen.workers ?? []).flatMap((worker) => ofWorker(worker, seen.now)),
    ...ofWaiting(seen.waiting ?? [], seen.now),
    ...ofTraffic(seen.traffic ?? [], seen.now),
    ...ofQueue(seen),
    ...ofBooks(seen),
    ...ofCertificates(seen),
    ...ofSettings(seen),
    ...ofRelayList(seen),
    ...ofDomains(seen),
  ]
  return found.sort((a, b) => order[a.severity] - order[b.severity])
}

function ofService(service: ServiceView): Finding[] {
  const to = `/services/${service.name}`
  const live = service.workers.filter((worker) => worker.live)
  if (service.desired === 'stopped')
    return [
      {
        severity: 'warn',
        title: `${service.title} is stopped`,
        detail:
          service.name === 'smtp'
            ? 'No new mail is received. Queued mail is still delivered.'
            : 'Nothing is delivered. Mail is still accepted and waits.',
        to,
      },
    ]
  if (live.length === 0)
    return [
      {
        severity: 'danger',
        title: `${service.title} has no worker`,
        detail: 'It should be running, but no worker has reported for 20 seconds.',
        to,
      },
    ]
  return []
}

function ofWorker(worker: WorkerView, now: number): Finding[] {
  const found: Finding[] = []
  const to = `/services/${worker.service}`
  if (!worker.live) {
    const silence = formatSpan(now - Date.parse(worker.heartbeatAt))
    return [{ severity: 'warn', title: `${worker.id} is silent`, detail: `Its last report was ${silence} ago.`, to }]
  }
  if (worker.observed === 'degraded')
    found.push({
      severity: 'danger',
      title: `${worker.id} is degraded`,
      detail: worker.detail ?? 'It gave no reason.',
      to,
    })
  if (worker.refused)
    found.push({
      severity: 'danger',
      title: `${worker.id} refused revision ${worker.refused.revision}`,
      detail: `${worker.refused.error}. It still uses revision ${worker.revision}.`,
      to: `/revisions/${worker.refused.revision}`,
    })
  else if (worker.lag > 0)
    found.push({
      severity: 'warn',
      title: worker.otherHistory
        ? `${worker.id} uses settings from before a restore`
        : `${worker.id} is ${plural(worker.lag, 'revision')} behind`,
      detail: worker.otherHistory
        ? `A backup of the settings was restored, and ${worker.id} has not applied it yet.`
        : `It uses revision ${worker.revision}.`,
      to: '/workers',
    })
  if (worker.eventsUnsent > 1000)
    found.push({
      severity: 'warn',
      title: `${worker.id} has ${plural(worker.eventsUnsent, 'unsent event')}`,
      detail: 'They are safe on its disk, but storage is too slow. Events and books are behind.',
      to: '/workers',
    })
  return found
}

/** Mail that has waited longer than this is reported. */
const longMs = 4 * 3_600_000

function ofQueue({ queue, now }: Observed): Finding[] {
  if (!queue) return []
  const found: Finding[] = []
  const age = queue.oldestReceivedAt ? now - Date.parse(queue.oldestReceivedAt) : 0
  if (age > longMs)
    found.push({
      severity: 'warn',
      title: `The oldest message has waited ${formatSpan(age)}`,
      detail: `${plural(queue.messages, 'message')} in the queue.`,
      to: '/queue',
    })
  if ((queue.byState.held ?? 0) > 0)
    found.push({
      severity: 'info',
      title: `${plural(queue.byState.held ?? 0, 'message')} held`,
      detail: 'They wait until you release, bounce or delete them.',
      to: '/queue',
      search: { state: 'held' },
    })
  return found
}

/** Checks the books. Events that are on their way do not matter, because the books do not come from events. */
function ofBooks({ books }: Observed): Finding[] {
  if (!books || books.total.balance === 0) return []
  const { received, delivered, bounced, discarded, queued, balance } = books.total
  return [
    {
      severity: 'danger',
      title: `The books do not balance: ${balance > 0 ? `${balance} missing` : `${-balance} too many`}`,
      detail: `${received} received, ${delivered} delivered, ${bounced} bounced, ${discarded} discarded, ${queued} queued.`,
      to: '/events',
    },
  ]
}

function ofCertificates({ certificates, now }: Observed): Finding[] {
  const to = '/directory/certificates'
  return (certificates ?? []).flatMap(({ name, notAfter, trouble }) => {
    const days = notAfter === undefined ? undefined : daysLeft(notAfter, now)
    const urgent = days === undefined || days < 3
    const found: Finding[] = []
    if (trouble)
      found.push({
        severity: urgent ? 'danger' : 'warn',
        title: `Certificate ${name} was not issued`,
        detail: trouble,
        to,
      })
    if (days === undefined || days >= expiryWarnings[0]) return found
    found.push({
      severity: urgent ? 'danger' : 'warn',
      title: days < 0 ? `Certificate ${name} has expired` : `Certificate ${name} expires in ${plural(days, 'day')}`,
      detail: 'Replace or renew it. New connections use the new certificate; open sessions are not affected.',
      to,
    })
    return found
  })
}

function ofRelayList({ relay = [] }: Observed): Finding[] {
  return tooBroad(relay).map((family) => ({
    severity: 'danger',
    title: `The relay list covers a large part of the ${family} Internet`,
    detail: 'All these clients may send to any domain without logging in. Spammers find an open relay within hours.',
    to: '/lists/relay',
  }))
}

function ofDomains({ hasDomain = true }: Observed): Finding[] {
  if (hasDomain) return []
  return [
    {
      severity: 'warn',
      title: 'No domain yet',
      detail: 'Add a domain. Until then, mail for your addresses is refused.',
      to: '/directory/domains',
    },
  ]
}

/** Finds a host name that is not fully qualified, and dangerous values in force. */
function ofSettings({ settings }: Observed): Finding[] {
  if (!settings) return []
  const found: Finding[] = []
  const hostname = settings.general?.hostname
  if (typeof hostname === 'string' && isBare(hostname))
    found.push({
      severity: 'warn',
      title: hostname === '' ? 'The host name is not set' : `The host name ${hostname} is not fully qualified`,
      detail: `Set a name such as mail.example.org. Until then, ${hostname === '' ? 'each worker uses the name of its machine, with .localdomain added if it has no dot' : 'it is sent with .localdomain added'}. Many servers refuse mail from such a host.`,
      to: '/settings/general',
    })
  for (const group of settingGroupNames) {
    const values = settings[group]
    if (!values) continue
    for (const field of fieldsOf(settingGroups[group].schema)) {
      const value = values[field.key]
      if (field.danger?.values?.some((bad) => dequal(bad, value)))
        found.push({
          severity: field.key === 'relayMode' ? 'danger' : 'warn',
          title: `${field.title}: ${valueText(value) ?? ''}`,
          detail: field.danger.text,
          to: `/settings/${group}`,
        })
    }
  }
  return found
}
