import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { App } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import { builtAssets } from './assets.ts'
import { buildPostern } from './postern.ts'

type Stacks = ReturnType<typeof buildPostern>
type Resource = { Type: string; Properties: Record<string, unknown> }

/**
 * Synthesises the whole app once, for tests. The built parts are placeholders, because their content only changes a
 * hash in the template.
 */
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
    /** Returns the first resource of its type. Throws if there is none. */
    one(type: string) {
      const [resource] = ofType(type)
      if (!resource) throw new Error(`no ${type} in any template`)
      return resource
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}
