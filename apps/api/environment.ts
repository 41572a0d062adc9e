import { parseBlock } from '@postern/contract/network.ts'

/** What the environment says about settings and ports. Pure: the entry hands its variables in. */
export type Environment = Readonly<Record<string, string | undefined>>

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

/** What the environment says cannot be used. The message names the variable, its value and what is allowed. */
export class EnvironmentError extends Error {
  override name = 'EnvironmentError'
}

/** A port from the environment; throws an EnvironmentError. */
export function portOf(env: Environment, name: string, otherwise: number): number {
  const text = env[name]
  if (!text) return otherwise
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new EnvironmentError(`${name} is "${text}" but must be a port from 0 to 65535`)
  return Number(text)
}

/**
 * Refuses what a worker would refuse later, again and again: throws an EnvironmentError. Port 0 means any free one.
 */
export function checkEnvironment(env: Environment): void {
  for (const name of ['POSTERN_API_PORT', 'POSTERN_SMTP_PORT', 'POSTERN_SUBMISSION_PORT', 'POSTERN_SMTPS_PORT'])
    portOf(env, name, 0)
  for (const block of env.POSTERN_PROXY_PROTOCOL?.split(',') ?? [])
    if (env.POSTERN_PROXY_PROTOCOL && parseBlock(block) === null)
      throw new EnvironmentError(
        `POSTERN_PROXY_PROTOCOL names "${block.trim()}" but must hold addresses or CIDR blocks, separated by commas`,
      )
  if (env.POSTERN_SPOOL && env.POSTERN_SPOOL !== 'local')
    throw new EnvironmentError(
      `POSTERN_SPOOL is "${env.POSTERN_SPOOL}" but only "local" can be had yet; s3:// is a later step`,
    )
}
