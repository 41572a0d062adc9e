// CloudFront function (cloudfront-js-2.0), viewer request of the console: a path of the console's own router is its one page; a
// path with an extension is a file.
// biome-ignore lint/correctness/noUnusedVariables: CloudFront calls it by name
function handler(event) {
  const request = event.request
  const last = request.uri.slice(request.uri.lastIndexOf('/') + 1)
  if (!last.includes('.')) request.uri = '/index.html'
  return request
}
