import { Input } from './Controls.tsx'
import { LabelledField } from './LabelledField.tsx'

/** Up to so many are read one by one before they go; for more, the number has to be typed. */
const manyFrom = 20

export const asksCount = (count: number): boolean => count > manyFrom
export const isCount = (typed: string, count: number): boolean => typed.replace(/[\s.,’']/g, '') === String(count)

type Props = { count: number; what: string; value: string; onChange: (typed: string) => void }

/** For what cannot be undone and concerns many: the number is typed, not clicked away. */
export function ConfirmCount({ count, what, value, onChange }: Props) {
  return (
    <LabelledField label={`Type ${count} to confirm`} help={`This affects ${count} ${what}.`}>
      {(wiring) => (
        <Input
          {...wiring}
          inputMode="numeric"
          autoComplete="off"
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </LabelledField>
  )
}
