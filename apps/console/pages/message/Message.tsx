import type { MessageView } from '@postern/contract/views.ts'
import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { useMay } from '../../api/role.ts'
import { StateBadge } from '../../ui/Badge.tsx'
import { Button } from '../../ui/Button.tsx'
import { formatBytes, plural } from '../../ui/format.ts'
import { Fact, Facts, Loaded, Page, Panel } from '../../ui/Page.tsx'
import { Ago, At } from '../../ui/Time.tsx'
import { visibleText } from '../../ui/visible-text.ts'
import { ActionDialog } from '../queue/ActionDialog.tsx'
import { type Action, actionNames, actions } from '../queue/actions.ts'
import { actOn } from '../queue/BulkActions.tsx'
import { Attempts } from './Attempts.tsx'
import { Content } from './Content.tsx'
import { Timeline } from './Timeline.tsx'

export function Message() {
  const { id } = useParams({ from: '/messages/$id' })
  const query = useQuery({
    queryKey: ['message', id],
    queryFn: () => call<MessageView>({ path: `/v1/messages/${id}` }),
    refetchInterval: (state) => (state.state.data?.state === 'finished' ? 10_000 : 2000),
  })
  const subject = query.data?.subject
  return (
    <Page
      title={subject ? clip(visibleText(subject)) : 'Message'}
      help={<span className="mono">{id}</span>}
      actions={query.data && query.data.state !== 'finished' ? <Actions message={query.data} /> : null}
      needs={query.data?.state === 'finished' ? undefined : { role: 'operator', to: 'act on the message or read it' }}
    >
      <Loaded query={query}>{(message) => <Body message={message} />}</Loaded>
    </Page>
  )
}

const clip = (text: string): string => (text.length > 90 ? `${text.slice(0, 90)} …` : text)

function Actions({ message }: { message: MessageView }) {
  const may = useMay('operator')
  const [action, setAction] = useState<Action | null>(null)
  if (!may) return null
  const fitting = actionNames.filter((name) => (message.state === 'held' ? name !== 'hold' : name !== 'release'))
  return (
    <>
      {fitting.map((name) => (
        <Button key={name} onClick={() => setAction(name)}>
          {actions[name].title}
        </Button>
      ))}
      {action && (
        <ActionDialog
          action={action}
          about={
            <>
              <strong className="stranger">{clip(visibleText(message.subject ?? '')) || '(no subject)'}</strong> from{' '}
              <span className="stranger">{visibleText(message.sender) || '<>'}</span> to{' '}
              <span className="stranger">{message.recipients[0]?.address}</span>
              {message.recipients.length > 1 && ` and ${plural(message.recipients.length - 1, 'other')}`}
            </>
          }
          act={(to) => actOn(message.id, action, to)}
          onClose={() => setAction(null)}
          onDone={() => undefined}
        />
      )}
    </>
  )
}

function Body({ message }: { message: MessageView }) {
  return (
    <div className="flex flex-col gap-5">
      <div className="grid gap-5 lg:grid-cols-2">
        <Panel title="Envelope" aside={<StateBadge state={message.state} />}>
          <Facts>
            <Fact name="From">
              <span className="stranger">{visibleText(message.sender) || '<> (null sender)'}</span>
            </Fact>
            {message.subject !== undefined && (
              <Fact name="Subject">
                <span className="stranger">{visibleText(message.subject)}</span>
              </Fact>
            )}
            <Fact name="Size">{formatBytes(message.size)}</Fact>
            <Fact name="Received">{message.receivedAt ? <At at={message.receivedAt} /> : 'not known'}</Fact>
            <Fact name="Origin">{message.origin}</Fact>
            {message.client && (
              <Fact name="Client">
                <span className="stranger">{visibleText(clientText(message.client))}</span>
              </Fact>
            )}
            {message.revision !== undefined && (
              <Fact name="Decided by">
                <Link
                  to="/revisions/$revision"
                  params={{ revision: String(message.revision) }}
                  className="text-accent underline"
                >
                  revision {message.revision}
                </Link>
              </Fact>
            )}
          </Facts>
        </Panel>
        <Panel title="Recipients" flush>
          <ul className="max-h-96 divide-y divide-line overflow-y-auto">
            {message.recipients.map((recipient) => (
              <li key={`${recipient.address} ${recipient.original}`} className="px-4 py-2.5 text-sm">
                <div className="flex items-start justify-between gap-3">
                  <span className="stranger">
                    {recipient.address}
                    {recipient.original !== recipient.address && (
                      <span className="text-faint"> for {recipient.original}</span>
                    )}
                  </span>
                  <StateBadge state={recipient.outcome} />
                </div>
                {recipient.lastReply && <p className="stranger mt-1 text-soft">{visibleText(recipient.lastReply)}</p>}
                <p className="mt-0.5 text-faint text-xs">
                  {plural(recipient.attempts, 'attempt')}
                  {recipient.nextTryAt && recipient.outcome === 'waiting' && message.state !== 'held' && (
                    <>
                      {' · next '}
                      <Ago at={recipient.nextTryAt} />
                    </>
                  )}
                </p>
              </li>
            ))}
          </ul>
        </Panel>
      </div>
      <Attempts attempts={message.attempts} />
      {message.state !== 'finished' && <Content id={message.id} />}
      <Panel title="Trace">
        <Timeline events={message.trace} />
      </Panel>
    </div>
  )
}

function clientText(client: Record<string, unknown> & { ip: string }): string {
  const { ip, helo, login, tls } = client
  return [ip, helo && `helo ${helo}`, login && `login ${login}`, tls].filter(Boolean).join(' · ')
}
