import { App } from 'aws-cdk-lib'
import { requireBuilt } from './assets.ts'
import { buildPostern } from './postern.ts'

/**
 * The entry point of `cdk synth`. It needs no account, look-ups or network. Values known only at deployment are stack
 * parameters.
 */
const app = new App()
const domain: unknown = app.node.tryGetContext('domain')
const certificateArn: unknown = app.node.tryGetContext('certificateArn')
if ((domain === undefined) !== (certificateArn === undefined)) {
  throw new Error(
    `context: domain (${domain}) and certificateArn (${certificateArn}) must be given together; give both (-c domain=… -c certificateArn=…) or neither`,
  )
}
buildPostern(app, {
  assets: requireBuilt(),
  ...(typeof domain === 'string' && typeof certificateArn === 'string' ? { site: { domain, certificateArn } } : {}),
})
app.synth()
