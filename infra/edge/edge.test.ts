import { readdirSync, readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import { consolePages } from '@postern/contract/console-pages.ts'
import { expect, test } from 'vitest'

type EdgeEvent = { viewer: { ip: string }; request: { uri: string; headers: Record<string, { value: string }> } }

const load = (file: string): ((event: EdgeEvent) => EdgeEvent['request']) =>
  runInNewContext(`${read(file)}${read('not-found.js')};handler`)
const read = (file: string) => readFileSync(new URL(file, import.meta.url), 'utf8')

const event = (uri: string, headers: Record<string, { value: string }> = {}): EdgeEvent => ({
  viewer: { ip: '2001:db8::7' },
  request: { uri, headers },
})

test.each<[string, string]>([
  ['/', '/index.html'],
  ['/services/smtp', '/index.html'],
  ['/lists/kill/', '/index.html'],
  ['/index.html', '/index.html'],
  ['/assets/main-4f2a.js', '/assets/main-4f2a.js'],
  ...readdirSync(new URL('../../apps/console/public', import.meta.url)).map((file): [string, string] => [
    `/${file}`,
    `/${file}`,
  ]),
  ...consolePages.map((page): [string, string] => [`/${page}`, '/index.html']),
])('the console’s %s is %s', (uri, file) => {
  expect(load('console.js')(event(uri)).uri).toBe(file)
})

test.each([
  '/healthz/',
  '/readyz',
  '/V1/me',
  '/v1',
  '/v1.2/page',
  '//v1/me',
  '/.well-known',
  '/queue//x',
  '/elsewhere',
  '/metrics',
  '/metrics.json',
  '/healthz.html',
  '/v1.json',
  '/wp-login.php',
  '/.well-known/nothing.txt',
  '/assets/',
  '/assets/x/y.js',
])('the console has no page %s', (uri) => {
  expect(load('console.js')(event(uri))).toMatchObject({ statusCode: 404 })
})

test('the API gets the visitor’s address, not what the visitor claims', () => {
  const { headers, uri } = load('api.js')(event('/v1/me', { 'x-postern-visitor': { value: '127.0.0.1' } }))
  expect(headers).toEqual({ 'x-postern-visitor': { value: '2001:db8::7' } })
  expect(uri).toBe('/v1/me')
})

test.each(['/v1/', '/docs/', '/.well-known/'])('the API has nothing at %s', (uri) => {
  expect(load('api.js')(event(uri))).toMatchObject({ statusCode: 404 })
})
