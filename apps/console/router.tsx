import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router'
import { type EventsSearch, type MessagesSearch, parseEventsSearch, parseMessagesSearch } from './log/filters.ts'
import { NotFound } from './pages/NotFound.tsx'
import type { QueueSearch } from './pages/queue/search.ts'
import { Shell } from './shell/Shell.tsx'
import { Failure, Loading } from './ui/Page.tsx'

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound })
const at = <P extends string>(path: P) => ({ getParentRoute: () => root, path })
const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

const tree = root.addChildren([
  createRoute({ ...at('/'), component: lazyRouteComponent(() => import('./pages/overview/Overview.tsx'), 'Overview') }),
  createRoute({
    ...at('/services'),
    component: lazyRouteComponent(() => import('./pages/services/Services.tsx'), 'Services'),
  }),
  createRoute({
    ...at('/services/$name'),
    component: lazyRouteComponent(() => import('./pages/services/ServicePage.tsx'), 'ServicePage'),
  }),
  createRoute({
    ...at('/settings'),
    beforeLoad: () => {
      throw redirect({ to: '/settings/$group', params: { group: 'general' } })
    },
  }),
  createRoute({
    ...at('/settings/$group'),
    component: lazyRouteComponent(() => import('./pages/settings/SettingsPage.tsx'), 'SettingsPage'),
  }),
  createRoute({
    ...at('/lists'),
    beforeLoad: () => {
      throw redirect({ to: '/lists/$list', params: { list: 'control-access' } })
    },
  }),
  createRoute({
    ...at('/lists/$list'),
    component: lazyRouteComponent(() => import('./pages/lists/ListPage.tsx'), 'ListPage'),
  }),
  createRoute({
    ...at('/directory'),
    beforeLoad: () => {
      throw redirect({ to: '/directory/domains' })
    },
  }),
  createRoute({
    ...at('/directory/domains'),
    component: lazyRouteComponent(() => import('./pages/directory/Domains.tsx'), 'Domains'),
  }),
  createRoute({
    ...at('/directory/accounts'),
    component: lazyRouteComponent(() => import('./pages/directory/Accounts.tsx'), 'Accounts'),
  }),
  createRoute({
    ...at('/directory/aliases'),
    component: lazyRouteComponent(() => import('./pages/directory/Aliases.tsx'), 'Aliases'),
  }),
  createRoute({
    ...at('/directory/groups'),
    component: lazyRouteComponent(() => import('./pages/directory/Groups.tsx'), 'Groups'),
  }),
  createRoute({
    ...at('/directory/certificates'),
    component: lazyRouteComponent(() => import('./pages/directory/Certificates.tsx'), 'Certificates'),
  }),
  createRoute({
    ...at('/directory/dkim-keys'),
    component: lazyRouteComponent(() => import('./pages/directory/DkimKeys.tsx'), 'DkimKeys'),
  }),
  createRoute({
    ...at('/queue'),
    validateSearch: (search): QueueSearch => ({
      state: text(search.state),
      domain: text(search.domain),
      sender: text(search.sender),
      recipient: text(search.recipient),
      cause: text(search.cause),
      olderThanMinutes: search.olderThanMinutes === undefined ? undefined : String(search.olderThanMinutes),
    }),
    component: lazyRouteComponent(() => import('./pages/queue/Queue.tsx'), 'Queue'),
  }),
  createRoute({
    ...at('/messages'),
    validateSearch: (search): MessagesSearch => parseMessagesSearch(search),
    component: lazyRouteComponent(() => import('./pages/messages/Messages.tsx'), 'Messages'),
  }),
  createRoute({
    ...at('/messages/$id'),
    component: lazyRouteComponent(() => import('./pages/message/Message.tsx'), 'Message'),
  }),
  createRoute({
    ...at('/events'),
    validateSearch: (search): EventsSearch => parseEventsSearch(search),
    component: lazyRouteComponent(() => import('./pages/events/Events.tsx'), 'Events'),
  }),
  createRoute({
    ...at('/simulate'),
    component: lazyRouteComponent(() => import('./pages/simulate/Simulate.tsx'), 'Simulate'),
  }),
  createRoute({ ...at('/replay'), component: lazyRouteComponent(() => import('./pages/replay/Replay.tsx'), 'Replay') }),
  createRoute({
    ...at('/workers'),
    component: lazyRouteComponent(() => import('./pages/workers/Workers.tsx'), 'Workers'),
  }),
  createRoute({
    ...at('/revisions'),
    component: lazyRouteComponent(() => import('./pages/revisions/Revisions.tsx'), 'Revisions'),
  }),
  createRoute({
    ...at('/revisions/$revision'),
    component: lazyRouteComponent(() => import('./pages/revisions/Revision.tsx'), 'Revision'),
  }),
  createRoute({ ...at('/audit'), component: lazyRouteComponent(() => import('./pages/audit/Audit.tsx'), 'Audit') }),
  createRoute({ ...at('/rfcs'), component: lazyRouteComponent(() => import('./pages/rfcs/Rfcs.tsx'), 'Rfcs') }),
  createRoute({
    ...at('/account'),
    component: lazyRouteComponent(() => import('./pages/account/OwnAccount.tsx'), 'OwnAccount'),
  }),
  createRoute({ ...at('/users'), component: lazyRouteComponent(() => import('./pages/users/Users.tsx'), 'Users') }),
])

export const router = createRouter({
  routeTree: tree,
  defaultPreload: 'intent',
  defaultPendingComponent: () => <Loading />,
  defaultErrorComponent: ({ error, reset }) => (
    <div className="p-6">
      <Failure error={error} onRetry={reset} />
    </div>
  ),
  scrollRestoration: false,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
