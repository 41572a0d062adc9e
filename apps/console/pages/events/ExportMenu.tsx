import { Download } from 'lucide-react'
import { useState } from 'react'
import { toast } from 'sonner'
import type { Query } from '../../api/client.ts'
import { download } from '../../api/download.ts'
import { explain } from '../../api/problem.ts'
import { Button, buttonClass } from '../../ui/Button.tsx'
import { Menu } from '../../ui/Menu.tsx'

const formats = { ndjson: 'NDJSON, an event per line', csv: 'CSV', parquet: 'Parquet' }
type Format = keyof typeof formats

/** Downloads all matching events, not only those on the page. */
export function ExportMenu({ query }: { query: Query }) {
  const [running, setRunning] = useState<AbortController | null>(null)
  const start = async (format: Format) => {
    const ended = new AbortController()
    setRunning(ended)
    try {
      const call = { path: '/v1/events/export', query: { ...query, format }, signal: ended.signal }
      await download(call, `postern-events.${format}`)
    } catch (error) {
      if (!ended.signal.aborted) toast.error(explain(error))
    } finally {
      setRunning(null)
    }
  }
  if (running)
    return (
      <Button onClick={() => running.abort()}>
        <Download aria-hidden="true" className="animate-pulse" /> Cancel export
      </Button>
    )
  return (
    <Menu
      trigger={
        <button type="button" className={buttonClass()}>
          <Download aria-hidden="true" /> Export
        </button>
      }
      items={(Object.keys(formats) as Format[]).map((format) => ({
        label: formats[format],
        onChoose: () => void start(format),
      }))}
    />
  )
}
