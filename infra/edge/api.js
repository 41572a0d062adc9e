// CloudFront function (cloudfront-js-2.0) for viewer requests to the API's paths. Writes the visitor's address into the
// header that the API function reads. Overwrites any value that the visitor sent. The gateway has no route for a prefix
// alone, and its 404 is not the API's.
// biome-ignore lint/correctness/noUnusedVariables: CloudFront calls it by name
function handler(event) {
  const request = event.request
  if (/^\/[\w.-]+\/$/.test(request.uri)) return notFound
  request.headers['x-postern-visitor'] = { value: event.viewer.ip }
  return request
}
