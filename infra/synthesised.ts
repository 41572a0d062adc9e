import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { App } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import { builtAssets } from './assets.ts'
import { buildPostern } from './postern.ts'

type Stacks = ReturnType<typeof buildPostern>
type Resource = { Type: string; Properties: Record<string, unknown> }

/** For tests: the whole app, synthesised once. The built parts are stand-ins: what is packed changes a template by a hash only. */
export function synthesise() {
  const directory = mkdtempSync(join(tmpdir(), 'postern-infra-'))
  for (const path of ['api/index.mjs', 'console/index.html']) {
    mkdirSync(join(directory, path, '..'), { recursive: true })
    writeFileSync(join(directory, path), '')
  }
  const app = new App({ outdir: join(directory, 'cdk.out') })
  const stacks = buildPostern(app, {
    assets: { api: join(directory, 'api'), console: join(directory, 'console'), image: builtAssets.image },
  })
  const entries = Object.entries(stacks) as [keyof Stacks, Stacks[keyof Stacks]][]
  const templates = Object.fromEntries(entries.map(([name, stack]) => [name, Template.fromStack(stack)])) as Record<
    keyof Stacks,
    Template
  >
  const resources = entries.flatMap(([stack]) =>
    Object.entries(templates[stack].toJSON().Resources as Record<string, Resource>).map(([id, resource]) => ({
      name: `${stack}/${id}`,
      ...resource,
    })),
  )
  const ofType = (type: string) => resources.filter(({ Type }) => Type === type)
  return {
    app,
    templates,
    ofType,
    /** The first of its type; throws when there is none. */
    one(type: string) {
      const [resource] = ofType(type)
      if (!resource) throw new Error(`no ${type} in any template`)
      return resource
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}
