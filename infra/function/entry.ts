import { deploymentStep } from './deployment-step.ts'
import { type ApiHandler, handleEvent } from './handle-event.ts'
import { acceptedValues, fromSecretsManager, Secrets } from './secrets.ts'

/**
 * The Lambda entry point. Secrets must be in the environment before the API's modules are evaluated. The API is
 * therefore loaded afterwards, by path. The bundle places it beside this file.
 */
type Api = {
  handler: ApiHandler
  /** Brings the databases up to date. */
  migrate?: () => Promise<void>
  /** Takes what reads the tokens again after one was refused. */
  onRefusedToken?: (reread: () => Promise<void>) => void
}

const secrets = new Secrets({ environment: process.env, read: fromSecretsManager(), now: () => Date.now() })
await secrets.load()
const api: Api = await import(new URL('./api.mjs', import.meta.url).href)
const reread = () => secrets.reread()
api.onRefusedToken?.(reread)

export const handler: ApiHandler = async (event, context) => {
  await secrets.refresh()
  return handleEvent(event, context, {
    api: api.handler,
    edgeTokens: () => acceptedValues(process.env, 'POSTERN_EDGE_TOKEN'),
    reread,
    print: (line) => process.stdout.write(`${line}\n`),
  })
}

/** The entry point of the function that a deployment runs before it replaces the API. */
export const migrate = (event: unknown): Promise<void> =>
  deploymentStep(event, async () => {
    await api.migrate?.()
  })
