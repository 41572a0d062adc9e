import { blocksIn, type Environment, EnvironmentError, portIn, serversIn } from '@postern/contract/environment.ts'

const fixes = {
  'advanced.port': 'POSTERN_SMTP_PORT',
  'advanced.submissionPort': 'POSTERN_SUBMISSION_PORT',
  'tls.implicitTlsPort': 'POSTERN_SMTPS_PORT',
  'advanced.proxyProtocol': 'POSTERN_PROXY_PROTOCOL',
} as const

/** Settings that the environment decides: the key, and what decides it. */
export function fixedBy(env: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fixes).flatMap(([key, name]) => (env[name] ? [[key, `${name}=${env[name]}`]] : [])),
  )
}

/**
 * Refuses what a worker would refuse later, again and again: throws an EnvironmentError. Port 0 means any free one.
 */
export function checkEnvironment(env: Environment): void {
  for (const name of ['POSTERN_API_PORT', 'POSTERN_SMTP_PORT', 'POSTERN_SUBMISSION_PORT', 'POSTERN_SMTPS_PORT'])
    portIn(env, name)
  blocksIn(env, 'POSTERN_PROXY_PROTOCOL')
  blocksIn(env, 'POSTERN_HOOKS_MAY_REACH')
  serversIn(env, 'POSTERN_DNS_SERVERS')
  blocksIn(env, 'POSTERN_API_PROXIES')
  if (env.POSTERN_SPOOL && env.POSTERN_SPOOL !== 'local')
    throw new EnvironmentError(
      `POSTERN_SPOOL is "${env.POSTERN_SPOOL}" but only "local" can be had yet; s3:// is a later step`,
    )
}
