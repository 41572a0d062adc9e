import { Link, useNavigate } from '@tanstack/react-router'
import { ChevronsUpDown } from 'lucide-react'
import { type Me, signOut } from '../api/sign-in.ts'
import { Button } from '../ui/Button.tsx'
import { Select } from '../ui/Controls.tsx'
import { Menu } from '../ui/Menu.tsx'
import { type ColorScheme, chooseColorScheme, colorSchemes, useColorScheme } from './color-scheme.ts'

const schemeLabels = { system: 'System colours', light: 'Light', dark: 'Dark' }

/** The account menu: the signed-in user, the colour scheme, and sign-out. */
export function Account({ me, onShortcuts }: { me: Me; onShortcuts: () => void }) {
  const scheme = useColorScheme()
  const navigate = useNavigate()
  return (
    <Menu
      trigger={
        <button
          type="button"
          className="flex w-full items-center gap-2 rounded-md px-2.5 py-1.5 text-left hover:bg-sunken"
        >
          <span className="min-w-0 flex-1">
            <span className="block truncate text-sm">{me.email}</span>
            <span className="block text-faint text-xs">{me.role}</span>
          </span>
          <ChevronsUpDown aria-hidden="true" className="size-4 shrink-0 text-faint" />
        </button>
      }
      items={[
        ...colorSchemes.map((name) => ({
          label: schemeLabels[name],
          checked: scheme === name,
          onChoose: () => chooseColorScheme(name),
        })),
        { label: 'Your account', onChoose: () => void navigate({ to: '/account' }) },
        { label: 'Keyboard shortcuts', onChoose: onShortcuts },
        { label: 'Sign out', onChoose: () => void signOut() },
      ]}
    />
  )
}

/** The account menu on a phone, where a menu above a dialog would not fit. */
export function PhoneAccount({ me, onGo }: { me: Me; onGo: () => void }) {
  const scheme = useColorScheme()
  return (
    <div className="flex flex-col gap-3">
      <p className="text-sm">
        {me.email} <span className="text-faint">· {me.role}</span>
      </p>
      <div className="flex flex-wrap gap-2">
        <label htmlFor="colours" className="flex items-center gap-2 text-sm">
          Colours
          <Select
            id="colours"
            value={scheme}
            onChange={(event) => chooseColorScheme(event.target.value as ColorScheme)}
          >
            {colorSchemes.map((name) => (
              <option key={name} value={name}>
                {schemeLabels[name]}
              </option>
            ))}
          </Select>
        </label>
        <Link to="/account" onClick={onGo} className="self-center text-sm underline">
          Your account
        </Link>
        <Button onClick={() => void signOut()}>Sign out</Button>
      </div>
    </div>
  )
}
