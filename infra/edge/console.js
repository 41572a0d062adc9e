// CloudFront function (cloudfront-js-2.0) for viewer requests to the console. Paths of the console's router get its
// single page. Only the console's own files are looked for in the bucket. All others get 404, so that a monitor that
// requests /healthz/ does not get a page.
// biome-ignore lint/correctness/noUnusedVariables: CloudFront calls it by name
function handler(event) {
  const request = event.request
  const uri = request.uri
  if (uri === '/' || (pages.includes(uri.split('/')[1]) && /^(\/[\w.~@:-]+)+\/?$/.test(uri)))
    request.uri = '/index.html'
  else if (!files.includes(uri) && !/^\/assets\/[\w-]+\.[\w.-]+$/.test(uri)) return notFound
  return request
}

// Copied from apps/console/public. edge.test.ts compares them.
const files = ['/index.html', '/first.js', '/gate.svg']

// Copied from db/contract/console-pages.ts. edge.test.ts compares them.
const pages = [
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
]
