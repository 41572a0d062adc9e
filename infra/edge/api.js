// CloudFront function (cloudfront-js-2.0), viewer request of the API's paths: writes the visitor's address where the API function
// looks for it, over whatever the visitor wrote there.
// biome-ignore lint/correctness/noUnusedVariables: CloudFront calls it by name
function handler(event) {
  const request = event.request
  request.headers['x-postern-visitor'] = { value: event.viewer.ip }
  return request
}
