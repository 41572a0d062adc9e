import type { VariableName } from '@postern/contract/variables.ts'
import { CfnParameter, type CfnParameterProps, type Stack } from 'aws-cdk-lib'

/**
 * The network around an installation's workers. Each variable is one stack parameter, with the same value in both
 * containers. Empty means not set. The workers check the values themselves; a pattern only rejects values that can
 * never be right.
 */
const parameters = {
  POSTERN_DNS_SERVERS: {
    id: 'DnsServers',
    description:
      'DNS servers of the workers, address[:port], separated by commas. Empty: the DNS servers of the network',
    allowedPattern: String.raw`^([0-9A-Fa-f.:\[\], ]*)$`,
  },
  POSTERN_DNS_VALIDATES: {
    id: 'DnsValidates',
    description:
      'yes: these servers validate DNSSEC, so DANE is used. For the servers of the network, turn on DNSSEC validation in Route 53 Resolver first',
    allowedValues: ['', 'yes', 'no'],
  },
  POSTERN_CA_FILE: {
    id: 'CaFile',
    description:
      'PEM file on the volume, e.g. /data/authorities.pem: certificate authorities trusted for outbound TLS besides the public ones',
    allowedPattern: String.raw`^(|/data/[\w./-]+)$`,
  },
  POSTERN_HOOKS_MAY_REACH: {
    id: 'HooksMayReach',
    description:
      'Addresses and CIDR blocks, separated by commas, that the delivery application, webhooks and callouts may reach besides the public Internet',
    allowedPattern: '^([0-9A-Fa-f.:/, ]*)$',
  },
  POSTERN_SYSLOG: {
    id: 'Syslog',
    description:
      'host:port of a syslog server (UDP), used when logging.destination is syslog. A container has no local syslog',
    allowedPattern: String.raw`^(|[\w.:\[\]-]+:[0-9]{1,5})$`,
  },
} satisfies Partial<Record<VariableName, { id: string } & CfnParameterProps>>

type WorkerVariable = keyof typeof parameters

/** Makes the parameters and returns the value of each variable. */
export function workerEnvironment(stack: Stack): Record<WorkerVariable, string> {
  const entries = Object.entries(parameters).map(([name, { id, ...rest }]) => {
    const parameter = new CfnParameter(stack, id, { ...rest, type: 'String', default: '' })
    return [name, parameter.valueAsString]
  })
  return Object.fromEntries(entries) as Record<WorkerVariable, string>
}
