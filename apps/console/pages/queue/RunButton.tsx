import { useMutation, useQueryClient } from '@tanstack/react-query'
import { FastForward } from 'lucide-react'
import { toast } from 'sonner'
import { call } from '../../api/client.ts'
import { explain } from '../../api/problem.ts'
import { useMay } from '../../api/role.ts'
import { Button } from '../../ui/Button.tsx'

/** Tries all waiting mail now. Harmless: held mail stays held. */
export function RunButton() {
  const client = useQueryClient()
  const may = useMay('operator')
  const run = useMutation({
    mutationFn: () => call({ method: 'POST', path: '/v1/queue/run', body: {} }),
    onSuccess: () => {
      toast.success('Retrying all waiting mail')
      void client.invalidateQueries({ queryKey: ['queue'] })
    },
    onError: (error) => toast.error(explain(error)),
  })
  if (!may) return null
  return (
    <Button busy={run.isPending} onClick={() => run.mutate()}>
      <FastForward aria-hidden="true" /> Retry all now
    </Button>
  )
}
