import type { ServiceView } from '@postern/contract/views.ts'
import { ApiError, Client } from './client.ts'
import { counted } from './counted.ts'
import * as queue from './queue.ts'
import { revert } from './revert.ts'
import { sendmail } from './sendmail.ts'
import { sendmailOptions } from './sendmail-options.ts'
import { apply, plan } from './settings-as-code.ts'
import { smtpOnStdio } from './smtp-stdio.ts'
import { Exit, sysexits } from './sysexits.ts'

/** `arguments` is the number of required arguments. `most` is the maximum; the default is `arguments`. */
type Command = {
  usage: string
  arguments: number
  most?: number
  run: (client: Client, args: string[]) => Promise<number>
}

const look: Omit<Command, 'usage'> = {
  arguments: 0,
  most: 1,
  run: (client, [query = '']) => queue.list(client, query),
}

const messageActions = {
  hold: 'keep a queued message, without further attempts, until it is released',
  release: 'release a held message',
  retry: 'try a queued message now',
  bounce: 'return a queued message to its sender',
  delete: 'delete a queued message; the sender gets no DSN',
}

const commands: Record<string, Command> = {
  status: {
    usage:
      'status                    show services, workers and their revisions; exit code 2 if a service is not in its desired state',
    arguments: 0,
    run: (client) => status(client),
  },
  export: {
    usage: 'export                    print the configuration as YAML, without secrets',
    arguments: 0,
    run: (client) => document(client),
  },
  plan: {
    usage: 'plan FILE                 show what applying FILE would change; exit code 2 if there are differences',
    arguments: 1,
    run: (client, [file = '']) => plan(client, file),
  },
  apply: {
    usage: 'apply FILE                print the plan of FILE, then apply it',
    arguments: 1,
    run: (client, [file = '']) => apply(client, file),
  },
  revert: {
    usage: 'revert N [--force]        undo only revision N; --force: even if later revisions changed the same rows',
    arguments: 1,
    most: 2,
    run: (client, [number = '', force]) => revert(client, number, force),
  },
  queue: {
    ...look,
    usage: 'queue [QUERY]             list waiting messages; QUERY e.g. "state=deferred&domain=example.org"',
  },
  list: { ...look, usage: 'list [QUERY]              the same as queue' },
  show: {
    usage: 'show ID                   show a message: envelope, attempts, trace',
    arguments: 1,
    run: (client, [id = '']) => queue.show(client, id),
  },
  explain: {
    usage: 'explain ID                explain why a message waits',
    arguments: 1,
    run: (client, [id = '']) => queue.explain(client, id),
  },
  submit: {
    usage:
      'submit FILE [--from SENDER] RECIPIENT…\n                                    submit a message file and print its id',
    arguments: 2,
    most: Number.POSITIVE_INFINITY,
    run: (client, [file = '', ...envelope]) => queue.submitFile(client, file, envelope),
  },
  deliver: {
    usage: 'deliver ID                try a queued message now (the same as retry)',
    arguments: 1,
    run: (client, [id = '']) => queue.act(client, 'retry', id),
  },
  reroute: {
    usage: 'reroute ID HOST[:PORT]    send a queued message to another host',
    arguments: 2,
    run: (client, [id = '', place = '']) => queue.reroute(client, id, place),
  },
  run: {
    usage: 'run                       try all waiting messages now',
    arguments: 0,
    run: (client) => queue.run(client),
  },
  ...Object.fromEntries(
    Object.entries(messageActions).map(([action, what]): [string, Command] => [
      action,
      {
        usage: `${`${action} ID`.padEnd(26)}${what}`,
        arguments: 1,
        run: (client, [id = '']) => queue.act(client, action, id),
      },
    ]),
  ),
}

async function status(client: Client): Promise<number> {
  const { items } = await client.get<{ items: ServiceView[] }>('/v1/services')
  for (const { name, desired, observed, workers } of items) {
    console.log(`${name}: ${observed}${observed === desired ? '' : `, should be ${desired}`}`)
    for (const worker of workers)
      console.log(
        `  ${worker.id}: revision ${worker.revision}, ${counted(worker.sessions, 'session')}${worker.live ? '' : ', NOT REPORTING'}${worker.detail ? `, ${worker.detail}` : ''}`,
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
    'usage: postern COMMAND [ARGUMENT…]',
    '',
    ...Object.values(commands).map((command) => `  postern ${command.usage}`),
    '',
    'On the machine itself, with Postern stopped and POSTERN_DATA_DIR set (default ./data):',
    '  postern reset-password [EMAIL]      set a new password for the first owner, or for EMAIL',
    '',
    'As sendmail (linked under that name, or as postern sendmail …), with a message on standard input:',
    '  postern [-t] [-i] [-f SENDER] [-F NAME] [RECIPIENT…]',
    '                            -t: take the recipients from To, Cc and Bcc, and remove Bcc',
    '                            -i, -oi: a line with only a dot does not end the message',
    '                            All recipients are accepted or none. Exit codes are those of sysexits.h.',
    '  postern -N never|success,failure,delay  -R full|hdrs  -V ENVID',
    '                            which delivery reports the sender gets, and how (RFC 3461)',
    '  postern -bs               speak SMTP on standard input and output',
    '  postern -bp               the same as queue',
    '  postern -q                the same as run',
    '',
    'POSTERN_URL     the API, default http://127.0.0.1:8080',
    'POSTERN_TOKEN   an API token (console, Users and tokens) or an access token; changing the queue needs the role operator',
    'POSTERN_ORIGIN  the domain that sendmail adds to names without one; default: this host',
    'POSTERN_SMTP    host:port of the SMTP service for -bs; default: ask the API',
    '/etc/postern/cli.env can set these for programs that do not pass on their environment (POSTERN_CLI_CONFIG: use another file)',
  ].join('\n')
}

/** Returns the usage of one command, with its explanation on a second line. */
function usageOf({ usage: line }: Command): string {
  return `usage: postern ${line.replace(/\s{2,}/, '\n  ')}`
}

function client(): Client {
  const token = process.env.POSTERN_TOKEN
  if (!token)
    throw new Exit(
      isSendmail(process.argv.slice(2)) ? sysexits.config : 1,
      'POSTERN_TOKEN is not set. Create a token in the console (Users and tokens) or with POST /v1/tokens.',
    )
  return new Client(process.env.POSTERN_URL ?? 'http://127.0.0.1:8080', token)
}

/** Returns whether the command was called as `sendmail`, or with an option or an address instead of a command. */
function isSendmail([first = '']: string[]): boolean {
  const isHelp = first === '--help' || first === '-h'
  return first === 'sendmail' || (!isHelp && /^-|@/.test(first))
}

async function asSendmail(args: string[]): Promise<number> {
  const options = sendmailOptions(args)
  switch (options.mode) {
    case 'dialogue':
      return smtpOnStdio(client)
    case 'queue':
      return queue.list(client(), '')
    case 'run':
      return queue.run(client())
    case 'nothing':
      return 0
    case 'message': {
      const api = client()
      return sendmail(api, options, Buffer.concat(await process.stdin.toArray()))
    }
  }
}

async function main(args: string[]): Promise<number> {
  if (isSendmail(args)) return asSendmail(args[0] === 'sendmail' ? args.slice(1) : args)
  const [name = '', ...rest] = args
  const about = name === 'help' ? (rest[0] ?? '') : name
  const command = Object.hasOwn(commands, about) ? commands[about] : undefined
  const asksHelp = [name, rest[0] ?? ''].some((word) => word === '--help' || word === '-h')
  if (name === 'help' || asksHelp) {
    console.log(command ? usageOf(command) : usage())
    return 0
  }
  if (command && takes(command, rest.length)) return command.run(client(), rest)
  if (name === '') throw new Exit(sysexits.usage, usage())
  throw new Exit(sysexits.usage, command ? usageOf(command) : `unknown command "${name}"; see postern help`)
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code
  },
  (error: Error) => {
    console.error(`postern: ${error.message}`)
    process.exitCode = error instanceof Exit ? error.code : isSendmail(process.argv.slice(2)) ? codeOf(error) : 1
  },
)

/** Refuses extra arguments: a user who types "delete A B" must not believe that B was deleted. */
function takes({ arguments: least, most = least }: Command, given: number): boolean {
  return given >= least && given <= most
}

/** Returns the exit code for errors outside the submission itself, such as in -bp and -q. */
function codeOf(error: Error): number {
  return error instanceof ApiError && error.status >= 400 && error.status < 500
    ? sysexits.noPermission
    : sysexits.tryAgain
}
