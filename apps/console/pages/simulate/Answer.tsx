import type { SimulatedStep, Simulation } from '@postern/contract/simulation.ts'
import { Badge, type Tone } from '../../ui/Badge.tsx'
import { plural } from '../../ui/format.ts'
import { Panel } from '../../ui/Page.tsx'

const stages: Record<string, string> = {
  connect: 'Connection',
  hello: 'HELO',
  auth: 'AUTH',
  mail: 'MAIL FROM',
  rcpt: 'RCPT TO',
  data: 'Message',
  fault: 'Errors so far',
  vrfy: 'VRFY',
  expn: 'EXPN',
}
const said: Record<string, Tone> = { decided: 'info', watched: 'warn', 'not-known': 'warn', exempt: 'good' }

/** The verdict of each stage in the order of the dialogue, with its trail. */
export function Answer({ simulation }: { simulation: Simulation }) {
  const words = {
    accepted: ['good', 'The message would be accepted.'],
    refused: ['danger', 'The message would be refused.'],
    incomplete: ['calm', 'Nothing was refused, but the session has no message.'],
  } as const
  const [tone, sentence] = words[simulation.outcome]
  return (
    <section aria-label="Answer" className="flex flex-col gap-3">
      <p role="status" className="flex flex-wrap items-center gap-2 text-sm">
        <Badge tone={tone}>{simulation.outcome}</Badge>
        <span className="font-medium">{sentence}</span>
        <span className="text-faint">
          {simulation.draft
            ? `With the draft on top of revision ${simulation.revision}.`
            : `With the saved settings, revision ${simulation.revision}.`}
        </span>
      </p>
      <ol className="flex flex-col gap-3">
        {simulation.stages.map((step, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the steps of one answer never move
          <li key={i}>
            <Step step={step} />
          </li>
        ))}
      </ol>
    </section>
  )
}

function Step({ step }: { step: SimulatedStep }) {
  const refused = step.outcome === 'refuse'
  return (
    <Panel
      title={
        <span className="flex flex-wrap items-baseline gap-2">
          {stages[step.stage] ?? step.stage}
          {step.about !== undefined && <span className="mono font-normal text-soft">{step.about || '<>'}</span>}
        </span>
      }
      aside={
        <span className="flex gap-2">
          <Badge tone={refused ? 'danger' : 'good'}>{refused ? step.reason : 'continues'}</Badge>
          {step.close && <Badge tone="danger">connection closes</Badge>}
        </span>
      }
    >
      <p className="mono [overflow-wrap:anywhere]">{step.reply || '(no reply)'}</p>
      <p className="mt-2 text-sm">
        Decided by <strong>{step.rule}</strong>: {step.explanation.join(' ')}
      </p>
      {step.recipients && step.recipients.length > 0 && (
        <p className="mt-1 text-sm text-soft">
          {step.relayed ? 'Relayed to ' : 'Delivered to '}
          {step.recipients
            .slice(0, 5)
            .map(({ address }) => address)
            .join(', ')}
          {step.recipients.length > 5 && ` and ${plural(step.recipients.length - 5, 'other')}`}
        </p>
      )}
      <details className="mt-2 text-sm" open={refused}>
        <summary className="cursor-pointer text-soft">{plural(step.trail.length, 'rule')} evaluated</summary>
        <ul className="mt-1.5 flex flex-col gap-1">
          {step.trail.map((entry) => (
            <li key={entry.rule} className="flex flex-wrap items-baseline gap-x-2">
              <span className="mono min-w-48">{entry.rule}</span>
              <Badge tone={said[entry.said] ?? 'calm'}>{entry.said}</Badge>
              {entry.because && <span className="text-soft">{entry.because}</span>}
            </li>
          ))}
        </ul>
      </details>
    </Panel>
  )
}
