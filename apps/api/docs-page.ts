/** `/docs`: a page of our own that renders the OpenAPI document. It loads nothing from other sites. */

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Postern API</title>
<link rel="stylesheet" href="/docs/docs.css">
<script type="module" src="/docs/docs.js"></script>
</head>
<body>
<header><h1>Postern API</h1><p>Generated from the code. OpenAPI document: <a href="/openapi.json">/openapi.json</a></p>
<label>Find <input id="find" type="search" autocomplete="off"></label></header>
<nav id="tags" aria-label="Sections"></nav>
<main id="operations"><p>Loading the document.</p></main>
</body>
</html>
`

const css = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 72rem; margin: 0 auto; padding: 1rem }
nav a { margin-right: .75rem }
details { border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: .4rem; margin: .4rem 0; padding: .4rem .8rem }
summary { cursor: pointer }
code, pre { font: .9rem/1.4 ui-monospace, monospace }
pre { overflow: auto; padding: .6rem; background: color-mix(in srgb, currentColor 8%, transparent); border-radius: .3rem; max-height: 30rem }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700 }
[hidden] { display: none }
`

const script = `const make = (tag, text, ...children) => {
  const node = document.createElement(tag)
  if (text) node.textContent = text
  node.append(...children)
  return node
}
const block = (title, value) => value ? [make('h4', title), make('pre', JSON.stringify(value, null, 2))] : []
const spec = await (await fetch('/openapi.json')).json()
const main = document.getElementById('operations')
const tags = document.getElementById('tags')
main.replaceChildren()
const sections = new Map()
for (const [path, methods] of Object.entries(spec.paths))
  for (const [method, operation] of Object.entries(methods)) {
    const tag = operation.tags?.[0] ?? 'Other'
    if (!sections.has(tag)) {
      const section = make('section', '', make('h2', tag))
      section.id = tag.replaceAll(' ', '-')
      const link = make('a', tag)
      link.href = '#' + section.id
      tags.append(link)
      sections.set(tag, section)
      main.append(section)
    }
    const verb = make('span', method.toUpperCase())
    verb.className = 'method'
    const details = make('details', '', make('summary', '', verb, make('code', path), ' ', operation.summary ?? ''), make('p', operation.description ?? ''))
    const media = (content) => content && Object.fromEntries(Object.entries(content).map(([type, { schema }]) => [type, schema]))
    details.append(...block('Parameters', operation.parameters), ...block('Body', media(operation.requestBody?.content)))
    for (const [status, answer] of Object.entries(operation.responses ?? {})) details.append(...block(status + ' ' + answer.description, media(answer.content) ?? {}))
    details.dataset.find = (method + ' ' + path + ' ' + (operation.summary ?? '')).toLowerCase()
    sections.get(tag).append(details)
  }
document.getElementById('find').addEventListener('input', ({ target }) => {
  for (const details of main.querySelectorAll('details')) details.hidden = !details.dataset.find.includes(target.value.toLowerCase())
})
`

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"

export const docs = {
  page: () => answer(html, 'text/html; charset=utf-8'),
  script: () => answer(script, 'text/javascript; charset=utf-8'),
  style: () => answer(css, 'text/css; charset=utf-8'),
}

function answer(text: string, type: string): Response {
  return new Response(text, { headers: { 'content-type': type, 'content-security-policy': policy } })
}
