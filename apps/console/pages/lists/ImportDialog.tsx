import { type ListName, lists } from '@postern/contract/lists.ts'
import { useMemo, useState } from 'react'
import { ApiProblem, explain } from '../../api/problem.ts'
import { useReview } from '../../review/review.tsx'
import { Button } from '../../ui/Button.tsx'
import { TextArea } from '../../ui/Controls.tsx'
import { Dialog } from '../../ui/Dialog.tsx'
import { plural } from '../../ui/format.ts'
import { LabelledField } from '../../ui/LabelledField.tsx'
import { type BadLine, formatOf, previewOf, withoutLines } from './import-preview.ts'

const shownInBox = 200_000

/** Imports many entries at once, pasted or from a file: all or none. Invalid lines are shown before the import. */
export function ImportDialog({ list, onClose }: { list: ListName; onClose: () => void }) {
  const review = useReview()
  const [text, setText] = useState('')
  const [refused, setRefused] = useState<readonly BadLine[]>([])
  const [failure, setFailure] = useState<string>()
  const preview = useMemo(() => previewOf(list, text), [list, text])
  const bad = preview.bad.length > 0 ? preview.bad : refused
  const format = formatOf(text)
  const change = (next: string) => {
    setText(next)
    setRefused([])
    setFailure(undefined)
  }

  async function submit() {
    try {
      const saved = await review({
        title: `Import into ${lists[list].title}`,
        about: `${plural(preview.lines, 'line')}. Values that are already in the list do not change.`,
        verb: 'Import',
        request: { method: 'POST', path: `/v1/lists/${list}/import`, query: { format }, body: text },
      })
      if (saved) onClose()
    } catch (error) {
      if (error instanceof ApiProblem && error.errors.some(({ path }) => path.startsWith('line ')))
        setRefused(error.errors.map((one) => asBadLine(one, text)))
      else setFailure(explain(error))
    }
  }

  return (
    <Dialog
      title={`Import into ${lists[list].title}`}
      size="wide"
      onClose={onClose}
      footer={
        <>
          <Button look="quiet" onClick={onClose}>
            Cancel
          </Button>
          {bad.length > 0 && format === 'text' && (
            <Button onClick={() => change(withoutLines(text, bad))}>Skip bad lines</Button>
          )}
          <Button look="primary" disabled={preview.lines === 0 || bad.length > 0} onClick={() => void submit()}>
            Review import
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <LabelledField
          label="Lines"
          help="One value per line; lines that begin with # are skipped. Or CSV with a header line: value, action, comment, expiresAt, reason."
        >
          {(wiring) => (
            <TextArea
              {...wiring}
              rows={9}
              placeholder={lists[list].example}
              value={text.length > shownInBox ? `${text.slice(0, shownInBox)}\n…` : text}
              readOnly={text.length > shownInBox}
              onChange={(event) => change(event.target.value)}
              className="mono"
            />
          )}
        </LabelledField>
        <input
          type="file"
          aria-label="Choose a file"
          accept=".txt,.csv,text/plain,text/csv"
          onChange={(event) => void event.target.files?.[0]?.text().then(change)}
          className="text-sm text-soft file:mr-3 file:h-8 file:rounded-md file:border file:border-edge file:bg-raised file:px-3 file:text-ink"
        />
        <p role="status" className="text-sm text-soft">
          {preview.lines === 0 ? 'Nothing to import yet.' : `${plural(preview.lines, 'line')} as ${format}. `}
          {bad.length > 0 && (
            <span className="text-danger">
              {plural(bad.length, 'bad line')}. Nothing is imported until every line is valid.
            </span>
          )}
        </p>
        {failure && (
          <p role="alert" className="text-danger text-sm">
            {failure}
          </p>
        )}
        {bad.length > 0 && (
          <ul
            // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
            tabIndex={0}
            aria-label="Bad lines"
            className="max-h-48 divide-y divide-line overflow-y-auto rounded-md border border-line"
          >
            {bad.map((line) => (
              <li key={`${line.line} ${line.message}`} className="px-3 py-1.5 text-sm">
                <span className="text-faint">line {line.line}: </span>
                <span className="text-danger">{line.message}</span>
              </li>
            ))}
          </ul>
        )}
      </div>
    </Dialog>
  )
}

function asBadLine({ path, message }: { path: string; message: string }, text: string): BadLine {
  const line = Number(path.replace('line ', ''))
  return { line, text: text.split('\n')[line - 1] ?? '', message }
}
