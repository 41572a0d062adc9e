import type { Simulation } from '@postern/contract/simulation.ts'
import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/client.ts'
import { ApiProblem } from '../../api/problem.ts'
import { DraftEditor } from '../../draft/DraftEditor.tsx'
import { readDraft, useDraftText } from '../../draft/draft.ts'
import { Button } from '../../ui/Button.tsx'
import { Checkbox, Input, Select, TextArea } from '../../ui/Controls.tsx'
import { LabelledField } from '../../ui/LabelledField.tsx'
import { Failure, Page, Panel } from '../../ui/Page.tsx'
import { Answer } from './Answer.tsx'

const empty = {
  ip: '198.51.100.7',
  listener: 'smtp',
  helo: 'mail.example.com',
  tls: false,
  login: '',
  loginResult: 'valid',
  mailFrom: 'someone@example.com',
  rcptTo: '',
  size: '',
  more: '',
}
type Typed = typeof empty

/** Simulates one session: the decision at each stage, and why. */
export function Simulate() {
  const [typed, setTyped] = useState(empty)
  const draftText = useDraftText()
  const [wrong, setWrong] = useState<Record<string, string>>({})
  const ask = useMutation({
    mutationFn: (body: object) => call<Simulation>({ method: 'POST', path: '/v1/simulate', body }),
    onError: (error) => setWrong(errorsOf(error)),
  })

  function onSubmit(event: FormEvent) {
    event.preventDefault()
    const { draft, error } = readDraft(draftText)
    const session = sessionOf(typed)
    if (error) return setWrong({ draft: error })
    if (typeof session === 'string') return setWrong({ more: session })
    setWrong({})
    ask.mutate({ session, ...(draft ? { draft } : {}) })
  }

  return (
    <Page
      title="Simulate"
      help="Shows what this server would answer a client, which rule decides at each stage, and why. Nothing is sent or saved."
    >
      <div className="grid gap-5 xl:grid-cols-[minmax(20rem,26rem)_1fr]">
        <Panel title="Session">
          <form onSubmit={onSubmit} noValidate aria-label="Session to simulate" className="flex flex-col gap-3.5">
            <Fields typed={typed} onChange={(change) => setTyped({ ...typed, ...change })} wrong={wrong} />
            <DraftEditor error={wrong.draft} />
            <div>
              <Button type="submit" look="primary" busy={ask.isPending}>
                Simulate
              </Button>
            </div>
          </form>
        </Panel>
        <div aria-live="polite" className="min-w-0">
          {ask.error ? <Failure error={ask.error} /> : ask.data ? <Answer simulation={ask.data} /> : <Nothing />}
        </div>
      </div>
    </Page>
  )
}

function Nothing() {
  return (
    <Panel>
      <p className="text-soft text-sm">
        Describe a session and press Simulate. Results of look-ups (DNS lists, reverse DNS, SPF) count as not known
        unless you give them under “Other facts”.
      </p>
    </Panel>
  )
}

type FieldsProps = { typed: Typed; onChange: (change: Partial<Typed>) => void; wrong: Record<string, string> }

function Fields({ typed, onChange, wrong }: FieldsProps) {
  const text = (key: keyof Typed, label: string, help?: string) => (
    <LabelledField label={label} error={wrong[key]} {...(help ? { help } : {})}>
      {(wiring) => (
        <Input {...wiring} value={String(typed[key])} onChange={(event) => onChange({ [key]: event.target.value })} />
      )}
    </LabelledField>
  )
  return (
    <>
      {text('ip', 'Client address')}
      <LabelledField label="Port">
        {(wiring) => (
          <Select {...wiring} value={typed.listener} onChange={(event) => onChange({ listener: event.target.value })}>
            <option value="smtp">SMTP</option>
            <option value="submission">Submission</option>
            <option value="smtps">Implicit TLS</option>
          </Select>
        )}
      </LabelledField>
      {text('helo', 'HELO name')}
      <Checkbox label="TLS" checked={typed.tls} onChange={(event) => onChange({ tls: event.target.checked })} />
      {text('login', 'Login', 'Empty: the client does not log in.')}
      {typed.login !== '' && (
        <LabelledField label="Password">
          {(wiring) => (
            <Select
              {...wiring}
              value={typed.loginResult}
              onChange={(event) => onChange({ loginResult: event.target.value })}
            >
              <option value="valid">right</option>
              <option value="invalid">wrong</option>
              <option value="not-known">cannot be checked now</option>
            </Select>
          )}
        </LabelledField>
      )}
      {text('mailFrom', 'MAIL FROM', 'Empty: the null sender.')}
      <LabelledField label="RCPT TO" help="One address per line." error={wrong.rcptTo}>
        {(wiring) => (
          <TextArea {...wiring} value={typed.rcptTo} onChange={(event) => onChange({ rcptTo: event.target.value })} />
        )}
      </LabelledField>
      {text('size', 'Size in bytes', 'Default: 1000.')}
      <LabelledField
        label="Other facts"
        help="JSON, as in the API: lookups, sessionsOpen, bareLineFeeds, hops, …"
        error={wrong.more}
      >
        {(wiring) => (
          <TextArea
            {...wiring}
            className="mono"
            placeholder={'{"lookups": {"senderDomain": "none"}}'}
            value={typed.more}
            onChange={(event) => onChange({ more: event.target.value })}
          />
        )}
      </LabelledField>
    </>
  )
}

/** Converts the input to the API's format. Returns an error sentence if the additional facts are not JSON. */
function sessionOf({ ip, listener, helo, tls, login, loginResult, mailFrom, rcptTo, size, more }: Typed) {
  const { draft: facts, error } = readDraft(more)
  if (error) return error
  return {
    ip: ip.trim(),
    listener,
    helo: helo.trim(),
    tls,
    ...(login.trim() === '' ? {} : { login: login.trim(), loginResult }),
    mailFrom: mailFrom.trim(),
    rcptTo: rcptTo
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== ''),
    ...(size.trim() === '' ? {} : { size: Number(size) }),
    ...facts,
  }
}

/** Returns errors by field. Errors of other fields are shown with the additional facts. */
function errorsOf(error: Error): Record<string, string> {
  if (!(error instanceof ApiProblem)) return {}
  return Object.fromEntries(
    error.errors.map(({ path, message }) => {
      const [part = '', key = ''] = path.split('.')
      return [part === 'draft' ? 'draft' : key in empty ? key : 'more', message]
    }),
  )
}
