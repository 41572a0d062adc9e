import { Bookmark, Trash2 } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { Button, buttonClass, IconButton } from '../ui/Button.tsx'
import { Input } from '../ui/Controls.tsx'
import { Dialog } from '../ui/Dialog.tsx'
import { LabelledField } from '../ui/LabelledField.tsx'
import { Menu } from '../ui/Menu.tsx'
import { renamed, type SavedView, useSavedViews, type ViewPage, withView } from './saved-views.ts'

type Props = {
  page: ViewPage
  search: Record<string, string | undefined>
  onSearch: (search: Record<string, string>) => void
}

/** Searches under a name, for this browser. To share one, share the address of the page. */
export function SavedViews({ page, search, onSearch }: Props) {
  const [views, keep] = useSavedViews(page)
  const [dialog, setDialog] = useState<'save' | 'edit' | null>(null)
  const set = Object.entries(search).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return (
    <>
      <Menu
        trigger={
          <button type="button" className={buttonClass()}>
            <Bookmark aria-hidden="true" /> Views
          </button>
        }
        items={[
          ...views.map((view) => ({ label: view.name, onChoose: () => onSearch(view.search) })),
          { label: 'Save this view …', onChoose: () => setDialog('save') },
          { label: 'Rename or delete …', onChoose: () => setDialog('edit'), disabled: views.length === 0 },
        ]}
      />
      {dialog === 'save' && (
        <SaveDialog
          names={views.map(({ name }) => name)}
          onClose={() => setDialog(null)}
          onSave={(name) => keep(withView(views, { name, search: Object.fromEntries(set) }))}
        />
      )}
      {dialog === 'edit' && <EditDialog views={views} onChange={keep} onClose={() => setDialog(null)} />}
    </>
  )
}

type SaveProps = { names: readonly string[]; onClose: () => void; onSave: (name: string) => void }

function SaveDialog({ names, onClose, onSave }: SaveProps) {
  const [name, setName] = useState('')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (name.trim() === '') return
    onSave(name.trim())
    onClose()
  }
  return (
    <Dialog
      title="Save this view"
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" form="save-view" disabled={name.trim() === ''}>
            Save
          </Button>
        </>
      }
    >
      <form id="save-view" onSubmit={submit}>
        <LabelledField
          label="Name"
          help={
            names.includes(name.trim())
              ? 'A view has this name. It is replaced.'
              : 'Kept in this browser. To share the view, copy the address of the page.'
          }
        >
          {(wiring) => (
            <Input {...wiring} maxLength={60} value={name} onChange={(event) => setName(event.target.value)} />
          )}
        </LabelledField>
      </form>
    </Dialog>
  )
}

type EditProps = { views: readonly SavedView[]; onChange: (views: SavedView[]) => void; onClose: () => void }

function EditDialog({ views, onChange, onClose }: EditProps) {
  return (
    <Dialog
      title="Saved views"
      onClose={onClose}
      footer={
        <Button look="primary" onClick={onClose}>
          Done
        </Button>
      }
    >
      {views.length === 0 && <p className="text-soft text-sm">No views are left.</p>}
      <ul className="flex flex-col gap-2">
        {views.map(({ name }) => (
          <li key={name} className="flex items-center gap-2">
            <Input
              aria-label={`Name of the view ${name}`}
              defaultValue={name}
              maxLength={60}
              className="flex-1"
              onBlur={(event) => {
                const next = renamed(views, name, event.target.value)
                if (next.every((view) => view.name !== event.target.value.trim())) event.target.value = name
                onChange(next)
              }}
              onKeyDown={(event) => event.key === 'Enter' && event.currentTarget.blur()}
            />
            <IconButton
              label={`Delete the view ${name}`}
              onClick={() => onChange(views.filter((v) => v.name !== name))}
            >
              <Trash2 />
            </IconButton>
          </li>
        ))}
      </ul>
    </Dialog>
  )
}
