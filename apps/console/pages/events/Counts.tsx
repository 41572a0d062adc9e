import { useState } from 'react'
import { Button } from '../../ui/Button.tsx'
import { useNarrow } from '../../ui/use-narrow.ts'
import type { CountsProps } from './count.tsx'
import { OverTime } from './OverTime.tsx'
import { Top } from './Top.tsx'

/** Matching events over time, and by the values of a column. Not counted while hidden. */
export function Counts(props: CountsProps) {
  const narrow = useNarrow()
  const [shown, setShown] = useState(!narrow)
  if (!shown)
    return (
      <Button className="self-start" aria-expanded={false} onClick={() => setShown(true)}>
        Show the chart
      </Button>
    )
  return (
    <div className="grid grid-cols-1 gap-5 xl:grid-cols-[3fr_2fr]">
      <OverTime {...props} />
      <Top {...props} />
    </div>
  )
}
