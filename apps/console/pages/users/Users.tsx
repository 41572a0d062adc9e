import { type Role, roleNames, roles } from '@postern/contract/roles.ts'
import { useMay } from '../../api/role.ts'
import { Fact, Facts, Page, Panel } from '../../ui/Page.tsx'
import { TokenPanel } from './TokenPanel.tsx'
import { UserPanel } from './UserPanel.tsx'

/** Users and tokens, which the API shows only to owners. Other users see what the roles may do. */
export function Users() {
  const owner = useMay('owner')
  return (
    <Page
      title="Users and tokens"
      help="People and programs that may use the console and the API, and what they may do."
      needs={{ role: 'owner', to: 'see or change users and tokens' }}
    >
      <div className="flex flex-col gap-5">
        {owner && (
          <>
            <UserPanel />
            <TokenPanel kind="api" />
            <TokenPanel kind="enrol" />
          </>
        )}
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
