import type { Listener } from '@postern/contract/facts.ts'
import { parseBlock } from '@postern/contract/network.ts'
import type { Settings } from '@postern/contract/settings.ts'

/** Which ports are wanted. Pure: settings and environment in, doors out. */

export type Door = {
  /** `smtp`, `submission`, `smtps`, `extra-2526`: stable over a change of its port, but for extra ports. */
  name: string
  listener: Listener
  address: string
  port: number
}

export type Environment = {
  bind?: string
  smtpPort?: number
  submissionPort?: number
  smtpsPort?: number
  /** In place of `advanced.proxyProtocol`. */
  proxyProtocol?: readonly string[]
  /** May not open ports below 1024. */
  unprivileged: boolean
}

/** Said in an Error that names the variable, its value and what is allowed. */
export function readEnvironment(env: NodeJS.ProcessEnv, unprivileged: boolean): Environment {
  return {
    unprivileged,
    ...(env.POSTERN_BIND ? { bind: env.POSTERN_BIND } : {}),
    ...port(env, 'POSTERN_SMTP_PORT', 'smtpPort'),
    ...port(env, 'POSTERN_SUBMISSION_PORT', 'submissionPort'),
    ...port(env, 'POSTERN_SMTPS_PORT', 'smtpsPort'),
    ...(env.POSTERN_PROXY_PROTOCOL ? { proxyProtocol: blocksIn(env.POSTERN_PROXY_PROTOCOL) } : {}),
  }
}

function port<K extends string>(env: NodeJS.ProcessEnv, variable: string, key: K): Partial<Record<K, number>> {
  const text = env[variable]
  if (text === undefined || text === '') return {}
  const number = Number(text)
  if (/^\d{1,5}$/.test(text) && number <= 65_535) return { [key]: number } as Partial<Record<K, number>>
  throw new Error(`${variable}="${text}": must be a port, 0 to 65535 (0: any free one)`)
}

function blocksIn(text: string): string[] {
  const blocks = text.split(',').map((block) => block.trim())
  const wrong = blocks.find((block) => parseBlock(block) === null)
  if (wrong === undefined) return blocks
  throw new Error(
    `POSTERN_PROXY_PROTOCOL="${text}": "${wrong}" must be an address or a CIDR block; several are separated by commas`,
  )
}

/** The defaults that an unprivileged process cannot have, and what it takes instead. */
const insteadOf = new Map([
  [25, 2525],
  [587, 2587],
  [465, 2465],
])

export function planDoors({ advanced, tls }: Settings, env: Environment, hasCertificate: boolean): Door[] {
  const address = env.bind ?? '127.0.0.1'
  const allowed = (number: number) => (env.unprivileged ? (insteadOf.get(number) ?? number) : number)
  const doors: Door[] = [
    { name: 'smtp', listener: 'smtp', address, port: env.smtpPort ?? allowed(advanced.port) },
    {
      name: 'submission',
      listener: 'submission',
      address,
      port: env.submissionPort ?? allowed(advanced.submissionPort),
    },
  ]
  if (tls.implicitTls && hasCertificate)
    doors.push({ name: 'smtps', listener: 'smtps', address, port: env.smtpsPort ?? allowed(tls.implicitTlsPort) })
  for (const extra of advanced.extraPorts)
    doors.push({ name: `extra-${extra}`, listener: 'smtp', address, port: allowed(extra) })
  return doors
}
