#!/usr/bin/env node
import type { ServiceView } from '@postern/contract/views.ts'
import { Client } from './client.ts'
import * as queue from './queue.ts'
import { apply, plan } from './settings-as-code.ts'

type Command = { usage: string; arguments: number; run: (client: Client, args: string[]) => Promise<number> }

const messageActions = ['hold', 'release', 'retry', 'bounce', 'delete'] as const

const commands: Record<string, Command> = {
  status: {
    usage:
      'status                    services, workers and the revision on each; exit code 2 when one is not as wanted',
    arguments: 0,
    run: (client) => status(client),
  },
  export: {
    usage: 'export                    the whole configuration as YAML, without secrets',
    arguments: 0,
    run: (client) => document(client),
  },
  plan: {
    usage: 'plan FILE                 what applying FILE would change; exit code 2 when there is drift',
    arguments: 1,
    run: (client, [file = '']) => plan(client, file),
  },
  apply: {
    usage: 'apply FILE                change it',
    arguments: 1,
    run: (client, [file = '']) => apply(client, file),
  },
  queue: {
    usage: 'queue [QUERY]             what waits; QUERY e.g. "state=deferred&domain=example.org"',
    arguments: 0,
    run: (client, [query = '']) => queue.list(client, query),
  },
  show: {
    usage: 'show ID                   one message: envelope, attempts, trace',
    arguments: 1,
    run: (client, [id = '']) => queue.show(client, id),
  },
  run: {
    usage: 'run                       try everything that waits, now',
    arguments: 0,
    run: (client) => queue.run(client),
  },
  ...Object.fromEntries(
    messageActions.map((action): [string, Command] => [
      action,
      {
        usage: `${`${action} ID`.padEnd(26)}${action} one queued message`,
        arguments: 1,
        run: (client, [id = '']) => queue.act(client, action, id),
      },
    ]),
  ),
}

async function status(client: Client): Promise<number> {
  const { items } = await client.get<{ items: ServiceView[] }>('/v1/services')
  for (const { name, desired, observed, workers } of items) {
    console.log(`${name}: ${observed}${observed === desired ? '' : `, wanted ${desired}`}`)
    for (const worker of workers)
      console.log(
        `  ${worker.id}: revision ${worker.revision}, ${worker.sessions} sessions${worker.live ? '' : ', SILENT'}${worker.detail ? `, ${worker.detail}` : ''}`,
      )
  }
  return items.every(({ desired, observed }) => desired === observed) ? 0 : 2
}

async function document(client: Client): Promise<number> {
  process.stdout.write(await client.text('/v1/document', 'application/yaml'))
  return 0
}

function usage(): string {
  return [
    'postern: the command of the Postern SMTP gateway',
    '',
    ...Object.values(commands).map((command) => `  postern ${command.usage}`),
    '',
    'POSTERN_URL    the API, default http://127.0.0.1:8080',
    'POSTERN_TOKEN  an API token (console, Users and tokens) or an access token',
  ].join('\n')
}

async function main([name = '', ...args]: string[]): Promise<number> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command || args.length < command.arguments) {
    console.error(
      name === '' || name === 'help' || name === '--help'
        ? usage()
        : `postern: ${command ? `usage: postern ${command.usage}` : `no command "${name}"; see postern help`}`,
    )
    return name === 'help' || name === '--help' ? 0 : 64
  }
  const token = process.env.POSTERN_TOKEN
  if (!token)
    throw new Error('POSTERN_TOKEN is not set: make a token in the console (Users and tokens) or with POST /v1/tokens')
  return command.run(new Client(process.env.POSTERN_URL ?? 'http://127.0.0.1:8080', token), args)
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code
  },
  (error: Error) => {
    console.error(`postern: ${error.message}`)
    process.exitCode = 1
  },
)
