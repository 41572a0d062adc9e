// CloudFront function (cloudfront-js-2.0) for viewer requests to the console. Paths of the console's router get its
// single page. Paths with an extension are files. All others get 404, so that a monitor that requests /healthz/ does
// not get a page.
// biome-ignore lint/correctness/noUnusedVariables: CloudFront calls it by name
function handler(event) {
  const request = event.request
  const uri = request.uri
  const first = uri.split('/')[1]
  if (uri === '/' || (pages.includes(first) && /^(\/[\w.~@:-]+)+\/?$/.test(uri))) request.uri = '/index.html'
  else if (!/^(\/[\w-]+)*\/[\w-]+\.[\w.-]+$/.test(uri) || first === '.well-known') return notFound
  return request
}

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

const notFound = {
  statusCode: 404,
  statusDescription: 'Not Found',
  headers: { 'content-type': { value: 'application/problem+json' }, 'cache-control': { value: 'no-store' } },
  body: {
    encoding: 'text',
    data: '{"type":"about:blank","title":"Not found","status":404,"detail":"This page does not exist."}',
  },
}
