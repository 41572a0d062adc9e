/** The first path segments of the console's pages. For any other path the API answers 404. */
export const consolePages = [
  'account',
  'audit',
  'directory',
  'events',
  'lists',
  'messages',
  'queue',
  'replay',
  'revisions',
  'rfcs',
  'services',
  'settings',
  'simulate',
  'users',
  'workers',
] as const
