import { useNavigate } from '@tanstack/react-router'
import { Command } from 'cmdk'
import { useState } from 'react'
import { idOf } from '../form/errors.tsx'
import { Dialog } from '../ui/Dialog.tsx'
import { visibleText } from '../ui/visible-text.ts'
import { namedBy, pageCommands, settingCommands, type Command as Target } from './commands.ts'

/** Goes to a page, a setting, or what a pasted id, address or domain names. */
export function Palette({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState('')
  const navigate = useNavigate()
  const go = ({ to, search = {}, setting }: Target) => {
    onClose()
    void navigate({ to, search, ...(setting ? { hash: idOf(setting) } : {}) })
  }
  return (
    <Dialog title="Go to" onClose={onClose}>
      <Command label="Go to" loop>
        <Command.Input
          data-begin
          value={text}
          onValueChange={setText}
          placeholder="Page, setting, address, domain, message id, revision"
          className="h-9 w-full rounded-md border border-edge bg-raised px-3 text-sm"
        />
        <Command.List className="mt-3 max-h-80 overflow-y-auto">
          <Command.Empty className="px-3 py-6 text-center text-soft text-sm">
            Nothing has this name. Paste an address, a domain, a message id or a revision to search for it.
          </Command.Empty>
          <Section title="Search" items={namedBy(text)} onGo={go} always />
          <Section title="Pages" items={pageCommands} onGo={go} />
          {text.trim() !== '' && <Section title="Settings" items={settingCommands} onGo={go} />}
        </Command.List>
      </Command>
    </Dialog>
  )
}

type SectionProps = {
  title: string
  items: readonly Target[]
  onGo: (item: Target) => void
  /** The items are made from the text, so it does not filter them. */
  always?: boolean
}

function Section({ title, items, onGo, always = false }: SectionProps) {
  if (items.length === 0) return null
  return (
    <Command.Group
      heading={title}
      forceMount={always}
      className="[&_[cmdk-group-heading]]:px-3 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:text-faint [&_[cmdk-group-heading]]:text-xs"
    >
      {items.map((item) => (
        <Command.Item
          key={`${item.label}, ${item.detail}`}
          value={`${item.label}, ${item.detail}`}
          forceMount={always}
          onSelect={() => onGo(item)}
          {...(item.keywords ? { keywords: item.keywords } : {})}
          className="flex cursor-pointer items-baseline justify-between gap-4 rounded-md px-3 py-1.5 text-sm data-[selected=true]:bg-accent-soft"
        >
          <bdi className="min-w-0 truncate">{visibleText(item.label)}</bdi>
          <span className="shrink-0 text-faint text-xs">{item.detail}</span>
        </Command.Item>
      ))}
    </Command.Group>
  )
}
