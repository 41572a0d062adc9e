import clsx from 'clsx'
import { X } from 'lucide-react'
import { type ReactNode, useEffect, useId, useRef } from 'react'
import { IconButton } from './Button.tsx'

type Props = {
  title: string
  onClose: () => void
  children: ReactNode
  /** Buttons. The last one carries out the action. */
  footer?: ReactNode
  size?: 'narrow' | 'wide'
  /** `false`: the dialog must be answered and cannot be dismissed. */
  dismissible?: boolean
}

function firstField(dialog: HTMLElement): HTMLElement | null {
  return dialog.querySelector<HTMLElement>(
    ':is(input:not([type=hidden], [readonly]), select, textarea, [role=combobox], [role=switch], [role=checkbox]):not(:disabled)',
  )
}

/**
 * Returns the button for a safe Enter: the button that acts, Cancel next to one that cannot be undone, or else the
 * button that the dialog offers.
 */
function safeButton(dialog: HTMLElement): HTMLElement | null {
  const buttons = [...dialog.querySelectorAll<HTMLElement>('footer :is(button:not(:disabled), a[href])')]
  const last = buttons.at(-1)
  if (last?.dataset.look !== 'danger')
    return last ?? dialog.querySelector<HTMLElement>('[data-content] :is(a[href], button)')
  return buttons.length > 1 ? (buttons[0] ?? null) : null
}

/**
 * The browser's own modal dialog: focus stays inside, Escape closes it, focus then returns, and the page behind is
 * inert. It needs no script that writes styles, which the CSP would refuse.
 */
export function Dialog({ title, onClose, children, footer, size = 'narrow', dismissible = true }: Props) {
  const ref = useRef<HTMLDialogElement>(null)
  const heading = useId()
  useEffect(() => {
    const dialog = ref.current
    const before = document.activeElement
    if (dialog && !dialog.open) {
      dialog.showModal()
      // The browser would focus the first focusable element, which is ×. Focus the first field of a form instead.
      const target = dialog.querySelector<HTMLElement>('[data-begin]') ?? firstField(dialog) ?? safeButton(dialog)
      target?.focus()
    }
    return () => {
      dialog?.close()
      if (before instanceof HTMLElement) before.focus()
    }
  }, [])
  return (
    <dialog
      ref={ref}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault()
        if (dismissible) onClose()
      }}
      onKeyDown={(event) => event.stopPropagation()}
      className={clsx(
        'm-auto max-h-[90dvh] w-[calc(100vw-2rem)] overflow-hidden rounded-lg border border-line bg-panel p-0 shadow-2xl shadow-(color:--shadow)',
        size === 'wide' ? 'max-w-3xl' : 'max-w-lg',
      )}
    >
      <div className="flex max-h-[90dvh] flex-col">
        <header className="flex items-center justify-between gap-4 border-line border-b py-3 pr-3 pl-5">
          <h2 id={heading} className="font-semibold text-lg">
            {title}
          </h2>
          {dismissible && (
            <IconButton label="Close" onClick={onClose}>
              <X />
            </IconButton>
          )}
        </header>
        <div data-content className="overflow-y-auto px-5 py-4">
          {children}
        </div>
        {footer && (
          <footer className="flex flex-wrap justify-end gap-2 border-line border-t bg-page px-5 py-3">{footer}</footer>
        )}
      </div>
    </dialog>
  )
}
