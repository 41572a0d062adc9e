import type { SettingGroup } from '@postern/contract/settings.ts'
import type { Page, RevisionView } from '@postern/contract/views.ts'
import { useQuery } from '@tanstack/react-query'
import { call } from '../../api/client.ts'
import { DiffView } from '../../review/DiffView.tsx'
import { Button } from '../../ui/Button.tsx'
import { Dialog } from '../../ui/Dialog.tsx'
import { Ago } from '../../ui/Time.tsx'

type Base = { revision: number; settings: Record<string, unknown> }
type Props = { group: SettingGroup; base: Base; theirs: Base; onKeep: () => void; onDiscard: () => void }

/**
 * Shown if another user saved first: displays that user's change. The user can apply their own change on top of it, or
 * discard it.
 */
export function ConflictDialog({ group, base, theirs, onKeep, onDiscard }: Props) {
  const { data } = useQuery({
    queryKey: ['who changed', group, base.revision],
    queryFn: () => call<Page<RevisionView>>({ path: '/v1/revisions', query: { limit: 50 } }),
  })
  const who = data?.items.find((item) => item.revision > base.revision && item.summary.includes(`settings ${group}`))
  return (
    <Dialog
      title="Another user changed these settings"
      size="wide"
      onClose={onKeep}
      footer={
        <>
          <Button look="quiet" onClick={onDiscard}>
            Discard my changes
          </Button>
          <Button look="primary" onClick={onKeep}>
            Keep my changes
          </Button>
        </>
      }
    >
      <p className="mb-4 text-sm text-soft">
        {who ? (
          <>
            <strong className="text-ink">{who.actor}</strong> saved revision {who.revision} <Ago at={who.at} />
            {who.comment && <> with the comment “{who.comment}”</>}.
          </>
        ) : (
          <>The settings are now at revision {theirs.revision}.</>
        )}{' '}
        Your changes are not saved. This changed in the meantime:
      </p>
      <DiffView diff={[{ kind: 'settings', id: group, label: group, before: base.settings, after: theirs.settings }]} />
    </Dialog>
  )
}
