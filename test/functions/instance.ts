import { join } from 'node:path'

/** One instance of the function: loads the bundle in the current directory and answers one event at a time. */

type Invocation = { event: unknown; endsAt: number }
type Handler = (event: unknown, context: { getRemainingTimeInMillis(): number }) => Promise<unknown>

const { handler }: { handler: Handler } = await import(join(process.cwd(), 'index.mjs'))

process.on('message', ({ event, endsAt }: Invocation) => {
  handler(event, { getRemainingTimeInMillis: () => endsAt - Date.now() }).then(
    (answer) => process.send?.({ answer }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : error }),
  )
})
