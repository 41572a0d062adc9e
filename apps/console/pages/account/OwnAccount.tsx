import { useSignIn } from '../../api/sign-in.ts'
import { Fact, Facts, Page, Panel } from '../../ui/Page.tsx'
import { PasswordForm } from './PasswordForm.tsx'
import { LoginSessionPanel } from './SessionPanel.tsx'

/** What all users can do with their own account, whatever their role. */
export function OwnAccount() {
  const session = useSignIn()
  const me = session.state === 'in' || session.state === 'expired' ? session.me : null
  return (
    <Page title="Your account" help="Your password, and where you are signed in.">
      <div className="flex flex-col gap-5">
        <Panel title="You">
          <Facts>
            <Fact name="Email address">{me?.email}</Fact>
            <Fact name="Role">{me?.role}</Fact>
          </Facts>
        </Panel>
        <PasswordForm />
        <LoginSessionPanel />
      </div>
    </Page>
  )
}
