import type { SweepReport } from '@postern/contract/schedule.ts'
import { Stack, type StackProps } from 'aws-cdk-lib'
import { type IMetric, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch'
import { FilterPattern, type LogGroup, MetricFilter } from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'
import { minute, type Warning, warn } from './alarm.ts'
import type { ApiStack } from './api.ts'
import type { FoundationStack } from './foundation.ts'
import { queuePrefix, workerNames } from './limits.ts'
import type { WorkersStack } from './workers.ts'

export type AlarmStackProps = StackProps & { foundation: FoundationStack; api: ApiStack; workers: WorkersStack }

/** All alarms. Each of them notifies the same topic. */
export class AlarmStack extends Stack {
  constructor(scope: Construct, id: string, { foundation, api, workers, ...props }: AlarmStackProps) {
    super(scope, id, { ...props, description: 'Postern: alarms' })
    const warnings = {
      ...apiWarnings(api),
      ...sweepWarnings(this, api.logs),
      ...workerWarnings(workers),
      ...queueWarnings(),
    }
    for (const [name, warning] of Object.entries(warnings)) warn(this, name, { ...warning, topic: foundation.alarms })
  }
}

function apiWarnings({ api, lambda, schedules }: ApiStack): Record<string, Warning> {
  return {
    ApiServerErrors: {
      metric: api.metricServerError({ statistic: Stats.SUM, period: minute }),
      description: 'The API answered with 5xx. Check the log of the function',
      when: { above: 4 },
      periods: 2,
      silence: 'calm',
    },
    ApiFunctionErrors: {
      metric: lambda.metricErrors({ statistic: Stats.SUM, period: minute }),
      description: 'The API function is failing on requests, sweeps or retention. Check its log',
      when: { above: 0 },
      periods: 3,
      silence: 'calm',
    },
    ApiThrottled: {
      metric: lambda.metricThrottles({ statistic: Stats.SUM, period: minute }),
      description: 'The API function is throttled. Raise the concurrency limit of the account',
      when: { above: 0 },
      periods: 2,
      silence: 'calm',
    },
    SchedulesFail: {
      metric: schedules.metricTargetErrors({ statistic: Stats.SUM, period: minute }),
      description: 'The scheduler cannot call the API function: unsent change notifications and old events remain',
      when: { above: 0 },
      periods: 3,
      silence: 'calm',
    },
  }
}

/** Alarms on the sweep's report, which function/handle-event.ts prints as one line per minute. */
function sweepWarnings(stack: Stack, logs: LogGroup): Record<string, Warning> {
  const measure = (name: string, field: keyof SweepReport) => sweepMetric(stack, logs, { name, field })
  return {
    SettingsLag: {
      metric: measure('SettingsLag', 'lagSeconds'),
      description:
        'A worker has been without the latest settings for a minute, or the sweep has not reported for five. See Services in the console',
      when: { above: 60 },
      periods: 5,
      silence: 'alarm',
    },
    OldestMail: {
      metric: measure('OldestMail', 'oldestWaitingSeconds'),
      description: 'A message has been waiting for delivery for six hours. See the queue by cause in the console',
      when: { above: 6 * 3600 },
      periods: 5,
      silence: 'calm',
    },
  }
}

function sweepMetric(
  stack: Stack,
  logGroup: LogGroup,
  { name, field }: { name: string; field: keyof SweepReport },
): IMetric {
  const value = `$.sweep.${field}`
  const filter = new MetricFilter(stack, `${name}Filter`, {
    logGroup,
    metricNamespace: 'Postern',
    metricName: name,
    filterPattern: FilterPattern.exists(value),
    metricValue: value,
  })
  return filter.metric({ statistic: Stats.MAXIMUM, period: minute })
}

function workerWarnings({ cluster, service, targets }: WorkersStack): Record<string, Warning> {
  const ofService = (metricName: string) =>
    new Metric({
      namespace: 'ECS/ContainerInsights',
      metricName,
      dimensionsMap: { ClusterName: cluster.clusterName, ServiceName: service.serviceName },
      statistic: Stats.MINIMUM,
      period: minute,
    })
  return {
    NoWorker: {
      metric: ofService('RunningTaskCount'),
      description: 'No worker is running: mail is neither accepted nor delivered. See the events of the ECS service',
      when: { below: 1 },
      // During a deployment there is no worker for a minute or two.
      periods: 5,
      silence: 'alarm',
    },
    NoHealthyReceiver: {
      metric: targets[0]!.metrics.healthyHostCount({ statistic: Stats.MINIMUM, period: minute }),
      description: 'The balancer finds no healthy receiver behind port 25',
      when: { below: 1 },
      periods: 5,
      silence: 'alarm',
    },
    WorkerMemory: {
      metric: service.metricMemoryUtilization({ statistic: Stats.MAXIMUM, period: minute }),
      description: 'The worker is close to its memory limit. Above it, the worker is killed',
      when: { above: 85 },
      periods: 5,
      silence: 'calm',
    },
  }
}

/** Alarms on change notifications that are not fetched. The worker still polls every 15 s, so changes arrive late. */
function queueWarnings(): Record<string, Warning> {
  return Object.fromEntries(
    Object.values(workerNames).map((worker) => [
      `NotificationsWait-${worker}`,
      {
        metric: new Metric({
          namespace: 'AWS/SQS',
          metricName: 'ApproximateAgeOfOldestMessage',
          dimensionsMap: { QueueName: `${queuePrefix}${worker}` },
          statistic: Stats.MAXIMUM,
          period: minute,
        }),
        description: `Change notifications for ${worker} are not being fetched`,
        when: { above: 60 },
        periods: 5,
        silence: 'calm',
      } satisfies Warning,
    ]),
  )
}
