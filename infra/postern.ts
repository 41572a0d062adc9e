import { type App, Tags, Validations } from 'aws-cdk-lib'
import { AwsSolutionsChecks } from 'cdk-nag'
import { AlarmStack } from './alarms.ts'
import { ApiStack } from './api.ts'
import type { Assets } from './assets.ts'
import { ConsoleStack, type Site } from './console.ts'
import { FirewallStack } from './firewall.ts'
import { FoundationStack } from './foundation.ts'
import { WorkersStack } from './workers.ts'

export type PosternProps = { assets: Assets; site?: Site }

/** Builds the whole system. Account and region are set at deployment, so synth needs neither; only the firewall's is fixed. */
export function buildPostern(app: App, { assets, site }: PosternProps) {
  // A stack must not remove what other stacks reference.
  app.node.setContext('@aws-cdk/core:defaultCrossStackReferences', 'strong')
  // A finding without an accepted reason fails the synth.
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app, { verbose: true }))
  Tags.of(app).add('system', 'postern')
  // CloudFront takes its firewall from this region only.
  const firewall = new FirewallStack(app, 'postern-firewall', { env: { region: 'us-east-1' } })
  const foundation = new FoundationStack(app, 'postern-foundation', {})
  const api = new ApiStack(app, 'postern-api', { foundation, bundle: assets.api })
  const console = new ConsoleStack(app, 'postern-console', {
    foundation,
    api: api.api,
    files: assets.console,
    ...(site ? { site } : {}),
  })
  const workers = new WorkersStack(app, 'postern-workers', { foundation, api: api.api, imageContext: assets.image })
  const watch = new AlarmStack(app, 'postern-watch', { foundation, api, workers })
  return { firewall, foundation, api, console, workers, watch }
}
