// CloudFront function (cloudfront-js-2.0), viewer request of the console: a path of the console's own router is its one page; a
// path with an extension is a file; anything else is no page, so that a monitor that asks for /healthz/ hears 404.
// biome-ignore lint/correctness/noUnusedVariables: CloudFront calls it by name
function handler(event) {
  const request = event.request
  const uri = request.uri
  const first = uri.split('/')[1]
  if (uri === '/' || (pages.includes(first) && /^(\/[\w.~@:-]+)+\/?$/.test(uri))) request.uri = '/index.html'
  else if (!/^(\/[\w-]+)*\/[\w-]+\.[\w.-]+$/.test(uri) || first === '.well-known') return notFound
  return request
}

// db/contract/console-pages.ts, which edge.test.ts compares.
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

const notFound = {
  statusCode: 404,
  statusDescription: 'Not Found',
  headers: { 'content-type': { value: 'application/problem+json' }, 'cache-control': { value: 'no-store' } },
  body: {
    encoding: 'text',
    data: '{"type":"about:blank","title":"Not found","status":404,"detail":"There is no such page."}',
  },
}
