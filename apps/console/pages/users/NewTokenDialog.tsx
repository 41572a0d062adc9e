import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Copy } from 'lucide-react'
import { type FormEvent, useId, useState } from 'react'
import { toast } from 'sonner'
import { call } from '../../api/client.ts'
import { explain } from '../../api/problem.ts'
import { Button } from '../../ui/Button.tsx'
import { Input, Select } from '../../ui/Controls.tsx'
import { Dialog } from '../../ui/Dialog.tsx'
import { LabelledField } from '../../ui/LabelledField.tsx'
import { type TokenKind, tokenKinds } from './token-kinds.ts'

const day = 86_400_000
const lives = [30, 90, 365] as const

type Props = { kind: TokenKind; onClose: () => void; onMade: (token: string) => void }

/** Creates a token, which expires unless the user chooses otherwise. */
export function NewTokenDialog({ kind, onClose, onMade }: Props) {
  const { path, choice, options, help } = tokenKinds[kind]
  const [name, setName] = useState('')
  const [chosen, setChosen] = useState<string>(options[0])
  const [days, setDays] = useState('90')
  const form = useId()
  const client = useQueryClient()
  const make = useMutation({
    mutationFn: () => {
      const expiresAt = days ? new Date(Date.now() + Number(days) * day).toISOString() : undefined
      const body = { name: name.trim(), [choice]: chosen, ...(expiresAt ? { expiresAt } : {}) }
      return call<{ token: string }>({ method: 'POST', path, body })
    },
    onSuccess: ({ token }) => {
      void client.invalidateQueries({ queryKey: ['pages', path] })
      onMade(token)
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    event.stopPropagation()
    make.mutate()
  }
  return (
    <Dialog
      title={kind === 'api' ? 'New API token' : 'New enrolment token'}
      onClose={onClose}
      footer={
        <>
          <Button look="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" form={form} look="primary" busy={make.isPending} disabled={name.trim() === ''}>
            Create
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} className="flex flex-col gap-4">
        <p className="text-soft text-sm">{help}</p>
        <LabelledField
          label={kind === 'api' ? 'Name' : 'Worker'}
          help={kind === 'api' ? 'What you use the token for.' : 'The name of the worker, e.g. smtp-2.'}
        >
          {(wiring) => (
            <Input
              {...wiring}
              autoFocus
              maxLength={100}
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </LabelledField>
        <LabelledField label={choice === 'role' ? 'Role' : 'Service'}>
          {(wiring) => (
            <Select {...wiring} value={chosen} onChange={(event) => setChosen(event.target.value)}>
              {options.map((option) => (
                <option key={option} value={option}>
                  {option}
                </option>
              ))}
            </Select>
          )}
        </LabelledField>
        <LabelledField label="Expires">
          {(wiring) => (
            <Select {...wiring} value={days} onChange={(event) => setDays(event.target.value)}>
              {lives.map((life) => (
                <option key={life} value={life}>
                  in {life} days
                </option>
              ))}
              <option value="">never</option>
            </Select>
          )}
        </LabelledField>
        {make.error ? (
          <p role="alert" className="text-danger text-sm">
            {explain(make.error)}
          </p>
        ) : null}
      </form>
    </Dialog>
  )
}

/** Shows a secret, for the only time. */
export function SecretDialog({ secret, help, onClose }: { secret: string; help: string; onClose: () => void }) {
  const copy = () =>
    navigator.clipboard
      .writeText(secret)
      .then(() => toast.success('Copied'))
      .catch(() => toast.error('The browser does not allow copying. Select the text and copy it.'))
  return (
    <Dialog
      title="Copy the token now"
      onClose={onClose}
      dismissible={false}
      footer={
        <Button look="primary" onClick={onClose}>
          I have copied it
        </Button>
      }
    >
      <p className="mb-3 text-sm">
        You cannot see it again, because only its hash is stored. <span className="text-soft">{help}</span>
      </p>
      <div className="flex items-center gap-2">
        <Input
          readOnly
          aria-label="Token"
          value={secret}
          onFocus={(event) => event.target.select()}
          className="mono flex-1"
        />
        <Button onClick={() => void copy()}>
          <Copy aria-hidden="true" /> Copy
        </Button>
      </div>
    </Dialog>
  )
}
