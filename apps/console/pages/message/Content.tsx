import { useMutation } from '@tanstack/react-query'
import { send } from '../../api/client.ts'
import { explain } from '../../api/problem.ts'
import { useMay } from '../../api/role.ts'
import { Button } from '../../ui/Button.tsx'
import { formatBytes } from '../../ui/format.ts'
import { Panel } from '../../ui/Page.tsx'

/** Characters that are shown; the download has the rest. */
const shown = 100_000

/** The message as it waits: plain text, octet for octet, never interpreted. Each look is in the audit log. */
export function Content({ id }: { id: string }) {
  const may = useMay('operator')
  const look = useMutation({ mutationFn: () => read(id) })
  const { data } = look
  return (
    <Panel
      title="Content"
      aside={
        <Button disabled={!may} busy={look.isPending} onClick={() => look.mutate()}>
          Show content
        </Button>
      }
    >
      {!data && !look.error && (
        <p className="text-soft text-sm">Shown as plain text, while it waits. Each look is in the audit log.</p>
      )}
      {look.error && (
        <p role="alert" className="text-sm">
          {explain(look.error)}
        </p>
      )}
      {data && (
        <>
          <pre className="stranger mono max-h-[32rem] overflow-auto whitespace-pre-wrap text-xs">{data.text}</pre>
          {data.octets > data.text.length && (
            <p className="mt-2 text-faint text-xs">The beginning of {formatBytes(data.octets)}.</p>
          )}
        </>
      )}
    </Panel>
  )
}

async function read(id: string): Promise<{ text: string; octets: number }> {
  const response = await send({ path: `/v1/messages/${id}/content` })
  const octets = Number(response.headers.get('postern-octets'))
  return { text: (await response.text()).slice(0, shown), octets }
}
