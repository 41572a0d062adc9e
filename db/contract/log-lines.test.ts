import { expect, it } from 'vitest'
import { eventTypeNames } from './events.ts'
import { classicLines, isLogged, jsonLine, type Logged, severityOf } from './log-lines.ts'

const at = '2026-11-22T09:08:07.000Z'
const client = { ip: '192.0.2.7', helo: 'far.test' }
const messageId = '01a20584-62b9-71a5-8ebf-148fadde7442'
const verdict = { stage: 'rcpt', reply: '550 5.1.1 No such user' }
const remote = { host: 'mx.test', address: '198.51.100.1', port: 25 }
const attempt = { messageId, attempt: 1, remote, durationMs: 1234, recipients: ['a@b.test', 'c@d.test'] }
const event = (type: string, fields: object) => ({ at, worker: 'smtp-1', type, ...fields }) as Logged

it.each([
  [
    event('message.accepted', { messageId, client, sender: 'x@far.test', recipients: [{}, {}], size: 99 }),
    '11:22 09:08 SMTPD(01a2058462b971a58ebf148fadde7442) [192.0.2.7] 01a2058462b971a58ebf148fadde7442: client=far.test[192.0.2.7], from=<x@far.test>, size=99, nrcpt=2',
  ],
  [
    event('command.refused', { client, verdict, sender: 'x@far.test', recipient: 'no@b.test' }),
    '11:22 09:08 SMTPD(smtp1) [192.0.2.7] NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 550 5.1.1 No such user; from=<x@far.test> to=<no@b.test> proto=ESMTP helo=<far.test>',
  ],
  [
    event('service.state', { service: 'smtp', observed: 'running', detail: 'two\r\nlines' }),
    '11:22 09:08 SMTPD(smtp1) [-] service.state: Service changed state: service=smtp observed=running detail=two lines',
  ],
])('classic: %#', (given, line) => {
  expect(classicLines(given, 'smtp')).toEqual([line])
})

it('a delivery has a line a recipient', () => {
  const lines = classicLines(event('delivery.delivered', { ...attempt, reply: '250 ok' }), 'queue')
  expect(lines).toHaveLength(2)
  expect(lines[1]).toBe(
    '11:22 09:08 SMTP-(01a2058462b971a58ebf148fadde7442) [198.51.100.1] 01a2058462b971a58ebf148fadde7442: to=<c@d.test>, relay=mx.test[198.51.100.1]:25, delay=1.23, dsn=2.0.0, status=sent (250 ok)',
  )
})

it('every type of event has a line, on one line, a severity and a level, whatever is in it', () => {
  for (const type of eventTypeNames) {
    const fields = { ...attempt, client, verdict, reply: 'a\nb', text: 'c\r\nd', sender: 'x\ny', status: '5.0.0' }
    const given = event(type, fields)
    for (const line of [...classicLines(given, 'smtp'), jsonLine(given)]) expect(line).not.toMatch(/[\r\n]/)
    expect(severityOf(given)).toBeGreaterThanOrEqual(3)
    expect(isLogged(type, 'debug')).toBe(true)
  }
})
