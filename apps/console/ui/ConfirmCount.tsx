import { Input } from './Controls.tsx'
import { LabelledField } from './LabelledField.tsx'

/** Up to this number, entries are listed before they are deleted. For more, the user must type the number. */
const manyFrom = 20

export const asksCount = (count: number): boolean => count > manyFrom
export const isCount = (typed: string, count: number): boolean => typed.replace(/[\s.,’']/g, '') === String(count)

type Props = { count: number; what: string; value: string; onChange: (typed: string) => void }

/** Confirms an action that cannot be undone and affects many entries: the user types the number instead of clicking. */
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
