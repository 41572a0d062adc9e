import { Link } from '@tanstack/react-router'
import { Signpost } from 'lucide-react'
import { Empty, Page } from '../ui/Page.tsx'

export function NotFound() {
  return (
    <Page title="Page not found">
      <Empty icon={Signpost} title="This page does not exist">
        Go to the{' '}
        <Link to="/" className="text-accent underline">
          overview
        </Link>
        , or choose a page from the menu.
      </Empty>
    </Page>
  )
}
