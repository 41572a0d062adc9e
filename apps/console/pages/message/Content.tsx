import { useMutation } from '@tanstack/react-query'
import { send } from '../../api/client.ts'
import { explain } from '../../api/problem.ts'
import { useMay } from '../../api/role.ts'
import { Button } from '../../ui/Button.tsx'
import { formatBytes } from '../../ui/format.ts'
import { Panel } from '../../ui/Page.tsx'
import { visibleText } from '../../ui/visible-text.ts'

/** Number of characters shown. More would make the page slow. */
const shown = 100_000

/** The waiting message as plain text, never interpreted. Each view is recorded in the audit log. */
export function Content({ id }: { id: string }) {
  const may = useMay('operator')
  const look = useMutation({ mutationFn: () => read(id) })
  const { data } = look
  return (
    <Panel
      title="Content"
      aside={
        may &&
        (data ? (
          <Button onClick={() => look.reset()}>Hide content</Button>
        ) : (
          <Button busy={look.isPending} onClick={() => look.mutate()}>
            Show content
          </Button>
        ))
      }
    >
      {!data && !look.error && (
        <p className="text-soft text-sm">
          {may
            ? 'You can read a waiting message as plain text. The audit log records that you read it.'
            : 'Only operators, administrators and owners can read messages.'}
        </p>
      )}
      {look.error && (
        <p role="alert" className="text-danger text-sm">
          {explain(look.error)}
        </p>
      )}
      {data && (
        <>
          <section
            aria-label="Message as text"
            // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard
            tabIndex={0}
            className="max-h-[32rem] overflow-auto rounded bg-sunken p-3"
          >
            <pre className="stranger text-xs">{data.text}</pre>
          </section>
          <p className="mt-2 text-faint text-xs">
            {data.cut ? `Only the beginning of ${formatBytes(data.bytes)}. ` : `Complete: ${formatBytes(data.bytes)}. `}
            Control characters and direction marks are shown as symbols, e.g. ␛ or ⟨U+202E⟩.
          </p>
        </>
      )}
    </Panel>
  )
}

type Looked = { text: string; bytes: number; cut: boolean }

async function read(id: string): Promise<Looked> {
  const response = await send({ path: `/v1/messages/${id}/content` })
  const bytes = Number(response.headers.get('postern-octets'))
  const body = await response.arrayBuffer()
  const text = new TextDecoder().decode(body).replace(/\r\n/g, '\n')
  return { text: visibleText(text.slice(0, shown)), bytes, cut: body.byteLength < bytes || text.length > shown }
}
