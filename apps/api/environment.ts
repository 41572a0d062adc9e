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

/** A port from the environment; throws an Error that names the variable. */
export function portOf(env: Environment, name: string, otherwise: number): number {
  const text = env[name]
  if (!text) return otherwise
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new Error(`${name} is "${text}" but must be a port from 0 to 65535`)
  return Number(text)
}
