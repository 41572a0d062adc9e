import { type ApiHandler, handleEvent } from './handle-event.ts'
import { fromSecretsManager, loadSecrets } from './secrets.ts'

/**
 * The Lambda entry point. Secrets must be in the environment before the API's modules are evaluated. The API is
 * therefore loaded afterwards, by path. The bundle places it beside this file.
 */
await loadSecrets(process.env, fromSecretsManager())
const { POSTERN_EDGE_TOKEN: edgeToken } = process.env
delete process.env.POSTERN_EDGE_TOKEN
const { handler: api }: { handler: ApiHandler } = await import(new URL('./api.mjs', import.meta.url).href)

export const handler: ApiHandler = (event, context) =>
  handleEvent(event, context, { api, edgeToken, print: (line) => process.stdout.write(`${line}\n`) })
