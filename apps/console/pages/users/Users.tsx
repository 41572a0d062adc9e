import { type Role, roleNames, roles } from '@postern/contract/roles.ts'
import { useMay } from '../../api/role.ts'
import { Fact, Facts, Page, Panel } from '../../ui/Page.tsx'
import { TokenPanel } from './TokenPanel.tsx'
import { UserPanel } from './UserPanel.tsx'

export function Users() {
  const owner = useMay('owner')
  return (
    <Page title="Users and tokens" help="Who may do what, as a person or as a program.">
      <div className="flex flex-col gap-5">
        {!owner && (
          <p className="rounded-lg bg-warn-soft px-4 py-3 text-sm text-warn">Only an owner manages users and tokens.</p>
        )}
        <UserPanel mayChange={owner} />
        <TokenPanel kind="api" mayChange={owner} />
        <TokenPanel kind="enrol" mayChange={owner} />
        <Panel title="What the roles may do">
          <Facts>
            {roleNames.map((role: Role) => (
              <Fact key={role} name={role}>
                {roles[role]}
              </Fact>
            ))}
          </Facts>
        </Panel>
      </div>
    </Page>
  )
}
