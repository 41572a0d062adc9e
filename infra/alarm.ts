import { Duration } from 'aws-cdk-lib'
import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch'
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions'
import type { ITopic } from 'aws-cdk-lib/aws-sns'
import type { Construct } from 'constructs'

export type Warning = {
  metric: IMetric
  /** What an operator reads at night: what is wrong and where to look. */
  description: string
  /** `above`: the metric is greater than the bound; `below`: less than it. */
  when: { above: number } | { below: number }
  /** How many periods in a row. */
  periods: number
  /** `alarm` where silence is itself the fault; `calm` where no data means that nothing happened. */
  silence: 'alarm' | 'calm'
}

export const minute = Duration.minutes(1)

/** An alarm that tells the topic when it starts and when it ends. */
export function warn(scope: Construct, id: string, { topic, ...warning }: Warning & { topic: ITopic }): Alarm {
  const above = 'above' in warning.when
  const alarm = new Alarm(scope, id, {
    metric: warning.metric,
    alarmDescription: warning.description,
    threshold: 'above' in warning.when ? warning.when.above : warning.when.below,
    comparisonOperator: above ? ComparisonOperator.GREATER_THAN_THRESHOLD : ComparisonOperator.LESS_THAN_THRESHOLD,
    evaluationPeriods: warning.periods,
    treatMissingData: warning.silence === 'alarm' ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
  })
  const tell = new SnsAction(topic)
  alarm.addAlarmAction(tell)
  alarm.addOkAction(tell)
  return alarm
}
