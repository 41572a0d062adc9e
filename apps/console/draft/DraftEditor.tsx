import { Button } from '../ui/Button.tsx'
import { TextArea } from '../ui/Controls.tsx'
import { LabelledField } from '../ui/LabelledField.tsx'
import { readDraft, setDraftText, useDraftText } from './draft.ts'

type Props = { error?: string | undefined }

/** The unsaved changes as JSON, taken from a settings form or typed here. */
export function DraftEditor({ error }: Props) {
  const text = useDraftText()
  const wrong = readDraft(text).error ?? error
  return (
    <div className="flex flex-col gap-2">
      <LabelledField
        label="Draft"
        error={wrong}
        help="Unsaved changes, as JSON. Settings: as in PATCH. Lists, domains, aliases and groups: either all entries, or {add, remove}. Empty: the saved settings."
      >
        {(wiring) => (
          <TextArea
            {...wiring}
            className="mono min-h-32 w-full"
            value={text}
            placeholder={'{"settings": {"general": {"relayMode": "none"}}}'}
            onChange={(event) => setDraftText(event.target.value)}
          />
        )}
      </LabelledField>
      <div>
        <Button look="quiet" disabled={text === ''} onClick={() => setDraftText('')}>
          Clear the draft
        </Button>
      </div>
    </div>
  )
}
