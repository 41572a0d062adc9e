import { Duration } from 'aws-cdk-lib'
import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch'
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions'
import type { ITopic } from 'aws-cdk-lib/aws-sns'
import type { Construct } from 'constructs'

export type Warning = {
  metric: IMetric
  /** Tells the operator on call what is wrong and where to look. */
  description: string
  /** `above`: the metric is greater than the bound. `below`: the metric is less than the bound. */
  when: { above: number } | { below: number }
  /** The number of consecutive periods. */
  periods: number
  /** `alarm`: missing data is a fault. `calm`: missing data means that nothing happened. */
  silence: 'alarm' | 'calm'
}

export const minute = Duration.minutes(1)

/** Makes an alarm that notifies the topic when it starts and when it ends. */
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
