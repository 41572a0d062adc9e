import { blocksIn, insteadOf, portIn } from '@postern/contract/environment.ts'
import type { Listener } from '@postern/contract/facts.ts'
import type { Settings } from '@postern/contract/settings.ts'

/** Which ports are to be open. Pure: settings and environment in, addresses out. */

export type ListenAddress = {
  /** `smtp`, `submission`, `smtps`, `extra-2526`: the same when its port changes, except for extra ports. */
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

/** Throws an EnvironmentError. */
export function readEnvironment(env: NodeJS.ProcessEnv, unprivileged: boolean): Environment {
  const smtpPort = portIn(env, 'POSTERN_SMTP_PORT')
  const submissionPort = portIn(env, 'POSTERN_SUBMISSION_PORT')
  const smtpsPort = portIn(env, 'POSTERN_SMTPS_PORT')
  const proxyProtocol = blocksIn(env, 'POSTERN_PROXY_PROTOCOL')
  return {
    unprivileged,
    ...(env.POSTERN_BIND ? { bind: env.POSTERN_BIND } : {}),
    ...(smtpPort === undefined ? {} : { smtpPort }),
    ...(submissionPort === undefined ? {} : { submissionPort }),
    ...(smtpsPort === undefined ? {} : { smtpsPort }),
    ...(proxyProtocol ? { proxyProtocol } : {}),
  }
}

export function listenAddresses(
  { advanced, tls }: Settings,
  env: Environment,
  hasCertificate: boolean,
): ListenAddress[] {
  const address = env.bind ?? '127.0.0.1'
  const allowed = (number: number) => (env.unprivileged ? (insteadOf.get(number) ?? number) : number)
  const addresses: ListenAddress[] = [
    { name: 'smtp', listener: 'smtp', address, port: env.smtpPort ?? allowed(advanced.port) },
    {
      name: 'submission',
      listener: 'submission',
      address,
      port: env.submissionPort ?? allowed(advanced.submissionPort),
    },
  ]
  if (tls.implicitTls && hasCertificate)
    addresses.push({ name: 'smtps', listener: 'smtps', address, port: env.smtpsPort ?? allowed(tls.implicitTlsPort) })
  for (const extra of advanced.extraPorts)
    addresses.push({ name: `extra-${extra}`, listener: 'smtp', address, port: allowed(extra) })
  return addresses
}
