// The end of both CloudFront functions, because they cannot import. The body is as apps/api/problem.ts writes it.
// biome-ignore lint/correctness/noUnusedVariables: used by the functions that this is appended to
const notFound = {
  statusCode: 404,
  statusDescription: 'Not Found',
  headers: { 'content-type': { value: 'application/problem+json' }, 'cache-control': { value: 'no-store' } },
  body: {
    encoding: 'text',
    data: '{"type":"about:blank","title":"Not found","status":404,"detail":"This page does not exist."}',
  },
}
