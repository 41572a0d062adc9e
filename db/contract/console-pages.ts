/** The first segments of the console's pages. A path that begins otherwise is no page of it: the API answers 404. */
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
