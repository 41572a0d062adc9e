import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { call } from '../../api/client.ts'
import { ApiProblem, explain } from '../../api/problem.ts'
import { Button } from '../../ui/Button.tsx'
import { Input } from '../../ui/Controls.tsx'
import { LabelledField } from '../../ui/LabelledField.tsx'
import { Panel } from '../../ui/Page.tsx'

const empty = { current: '', new: '', again: '' }

export function PasswordForm() {
  const client = useQueryClient()
  const [typed, setTyped] = useState(empty)
  const change = useMutation({
    mutationFn: () =>
      call({ method: 'POST', path: '/v1/me/password', body: { current: typed.current, new: typed.new } }),
    onSuccess: () => {
      setTyped(empty)
      toast.success('Password changed. You are signed out everywhere else.')
      void client.invalidateQueries({ queryKey: ['pages', '/v1/me/sessions'] })
    },
  })
  const isSame = typed.new === typed.again
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (isSame) change.mutate()
  }
  const field = (key: keyof typeof empty, label: string, more: { help?: string; error?: string | undefined } = {}) => (
    <LabelledField label={label} {...more}>
      {(wiring) => (
        <Input
          {...wiring}
          type="password"
          autoComplete={key === 'current' ? 'current-password' : 'new-password'}
          required
          value={typed[key]}
          onChange={(event) => setTyped({ ...typed, [key]: event.target.value })}
        />
      )}
    </LabelledField>
  )
  return (
    <Panel title="Change your password">
      <form onSubmit={submit} className="flex max-w-sm flex-col gap-4">
        {field('current', 'Current password', { error: saidOf(change.error, 'current') })}
        {field('new', 'New password', {
          help: 'At least 8 characters. A new password signs you out everywhere else. API tokens still work.',
          error: saidOf(change.error, 'new'),
        })}
        {field('again', 'Confirm new password', {
          error: isSame || typed.again === '' ? undefined : 'The passwords differ.',
        })}
        {change.error && !saidOf(change.error, 'current') && !saidOf(change.error, 'new') ? (
          <p role="alert" className="text-danger text-sm">
            {explain(change.error)}
          </p>
        ) : null}
        <Button
          type="submit"
          look="primary"
          className="self-start"
          busy={change.isPending}
          disabled={!typed.current || !typed.new || !isSame}
        >
          Change password
        </Button>
      </form>
    </Panel>
  )
}

function saidOf(error: unknown, path: string): string | undefined {
  return error instanceof ApiProblem ? error.errors.find((one) => one.path === path)?.message : undefined
}
