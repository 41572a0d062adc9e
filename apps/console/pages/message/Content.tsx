import { useState } from 'react'
import { send } from '../../api/client.ts'
import { explain } from '../../api/problem.ts'
import { useMay } from '../../api/role.ts'
import { Button } from '../../ui/Button.tsx'
import { Panel } from '../../ui/Page.tsx'

const shownCharacters = 200_000

/** The message as it came, as text and nothing else. Looking is written to the audit trail. */
export function Content({ id }: { id: string }) {
  const may = useMay('admin')
  const [text, setText] = useState<string>()
  const [error, setError] = useState<string>()
  const look = async () => {
    try {
      setText((await (await send({ path: `/v1/messages/${id}/content` })).text()).slice(0, shownCharacters))
      setError(undefined)
    } catch (failure) {
      setError(explain(failure))
    }
  }
  return (
    <Panel title="Content">
      {text === undefined ? (
        <div className="flex flex-wrap items-center gap-4">
          <Button disabled={!may} onClick={() => void look()}>
            Show the content
          </Button>
          <p className="text-soft text-sm">
            {may ? 'Somebody’s mail: that you looked is written to the audit trail.' : 'Needs the role admin.'}
          </p>
          {error && (
            <p role="alert" className="text-danger text-sm">
              {error}
            </p>
          )}
        </div>
      ) : (
        <section
          aria-label="Content as it came"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
          tabIndex={0}
          className="max-h-[32rem] overflow-auto"
        >
          <pre className="stranger">{text}</pre>
        </section>
      )}
    </Panel>
  )
}
