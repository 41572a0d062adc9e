import { type FormEvent, useState } from 'react'
import { ApiProblem, explain } from '../../api/problem.ts'
import { signIn, signOut } from '../../api/sign-in.ts'
import { Logo } from '../../shell/Logo.tsx'
import { Button } from '../../ui/Button.tsx'
import { Input } from '../../ui/Controls.tsx'
import { Dialog } from '../../ui/Dialog.tsx'
import { LabelledField } from '../../ui/LabelledField.tsx'

export function SignIn() {
  return (
    <main className="flex min-h-dvh items-center justify-center p-6">
      <title>Sign in · Postern</title>
      <div className="w-full max-w-sm">
        <div className="mb-7 flex items-center gap-3">
          <Logo className="size-10 text-accent" />
          <div>
            <h1 className="font-semibold text-xl tracking-tight">Postern</h1>
            <p className="text-soft text-sm">SMTP gateway</p>
          </div>
        </div>
        <SignInForm />
      </div>
    </main>
  )
}

/** Shown above the page when the session has ended. Input below it is kept. */
export function ExpiredDialog({ email }: { email: string }) {
  return (
    <Dialog title="Sign in again" onClose={() => undefined} dismissible={false}>
      <p className="mb-4 text-soft text-sm">
        Your session has ended. Sign in again to continue. Nothing on this page is lost.
      </p>
      <SignInForm email={email} />
      <Button look="quiet" className="mt-3" onClick={() => void signOut()}>
        Sign out and discard
      </Button>
    </Dialog>
  )
}

function words(error: unknown): string {
  if (!(error instanceof ApiProblem)) return explain(error)
  if (error.status === 401) return 'Wrong email address or password.'
  return explain(error)
}

function SignInForm({ email: known = '' }: { email?: string }) {
  const [email, setEmail] = useState(known)
  const [password, setPassword] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string>()

  async function submit(event: FormEvent) {
    event.preventDefault()
    setBusy(true)
    setError(undefined)
    try {
      await signIn(email.trim(), password)
    } catch (failure) {
      setError(words(failure))
    }
    setBusy(false)
  }

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <LabelledField label="Email address">
        {(wiring) => (
          <Input
            {...wiring}
            type="email"
            name="email"
            autoComplete="username"
            required
            autoFocus={known === ''}
            value={email}
            onChange={(event) => setEmail(event.target.value)}
            className="h-10"
          />
        )}
      </LabelledField>
      <LabelledField label="Password">
        {(wiring) => (
          <Input
            {...wiring}
            type="password"
            name="password"
            autoComplete="current-password"
            required
            autoFocus={known !== ''}
            data-begin={known === '' ? undefined : true}
            value={password}
            onChange={(event) => setPassword(event.target.value)}
            className="h-10"
          />
        )}
      </LabelledField>
      <p role="alert" className="min-h-5 text-danger text-sm">
        {error}
      </p>
      <Button type="submit" look="primary" busy={busy} className="h-10">
        Sign in
      </Button>
    </form>
  )
}
