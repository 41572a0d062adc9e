import { Duration, type Stack } from 'aws-cdk-lib'
import { Peer, Port, SecurityGroup, SubnetType, type Vpc } from 'aws-cdk-lib/aws-ec2'
import type { FargateService } from 'aws-cdk-lib/aws-ecs'
import { NetworkLoadBalancer, NetworkTargetGroup, Protocol, TargetType } from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import { acceptFindings } from './accepted-findings.ts'
import { drainTimeoutSeconds, publicPorts, workerPorts } from './limits.ts'

/**
 * Makes the balancer for the mail ports. TLS ends in the worker, because certificates are settings that change without
 * a deployment.
 */
export function balancer(stack: Stack, vpc: Vpc, worker: SecurityGroup): NetworkLoadBalancer {
  const network = new SecurityGroup(stack, 'BalancerNetwork', {
    vpc,
    description: 'Postern balancer: accepts mail ports from anywhere and connects only to the workers',
    allowAllOutbound: false,
  })
  acceptFindings(network, {
    'AwsSolutions-EC23':
      'Mail comes from anywhere. A mail exchanger must open these three ports. Control Access in the worker decides who may connect',
  })
  for (const { port, target, name } of publicPorts) {
    network.addIngressRule(Peer.anyIpv4(), Port.tcp(port), name)
    worker.connections.allowFrom(network, Port.tcp(target), name)
  }
  worker.connections.allowFrom(network, Port.tcp(workerPorts.smtpHealth), 'Health')
  const front = new NetworkLoadBalancer(stack, 'Balancer', {
    vpc,
    vpcSubnets: { subnetType: SubnetType.PUBLIC },
    internetFacing: true,
    // One task in one zone must be reachable through the addresses of both zones.
    crossZoneEnabled: true,
    securityGroups: [network],
    deletionProtection: true,
  })
  acceptFindings(front, {
    'AwsSolutions-ELB2':
      'A network load balancer writes access logs only for TLS listeners. These are TCP. Every connection is an event of the worker, with the address from the PROXY header',
  })
  return front
}

/**
 * Makes a listener and a target group for each port. PROXY v2 passes the client's address. The health check uses the
 * receiver's health port and not a mail port. When an administrator stops the `smtp` service, its listeners close. ECS
 * must not then replace the task, because the Queue Manager in it is still delivering.
 */
export function listen(stack: Stack, front: NetworkLoadBalancer, service: FargateService): NetworkTargetGroup[] {
  return publicPorts.map(({ name, port, target }) => {
    const group = new NetworkTargetGroup(stack, `${name}Targets`, {
      vpc: front.vpc!,
      port: target,
      protocol: Protocol.TCP,
      targetType: TargetType.IP,
      proxyProtocolV2: true,
      // The PROXY header carries the client's address. Packets come from the balancer, so the worker's network can stay
      // closed.
      preserveClientIp: false,
      // The worker lets open transactions finish for this long, and then closes them itself with 421.
      deregistrationDelay: Duration.seconds(drainTimeoutSeconds),
      connectionTermination: false,
      targets: [service.loadBalancerTarget({ containerName: 'smtp', containerPort: target })],
      healthCheck: {
        protocol: Protocol.HTTP,
        path: '/healthz',
        port: `${workerPorts.smtpHealth}`,
        interval: Duration.seconds(10),
        timeout: Duration.seconds(5),
        healthyThresholdCount: 2,
        unhealthyThresholdCount: 3,
      },
    })
    front.addListener(name, { port, protocol: Protocol.TCP, defaultTargetGroups: [group] })
    return group
  })
}
