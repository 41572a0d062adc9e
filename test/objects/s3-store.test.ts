import type { ObjectStore } from '@postern/objects/object-store.ts'
import { openS3Store } from '@postern/objects/s3-store.ts'
import { objectStoreSuite } from '@postern/objects/test/suite.ts'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type FakeS3, startFakeS3 } from '../peers/fake-s3.ts'

let s3: FakeS3
beforeAll(async () => {
  s3 = await startFakeS3()
})
afterEach(() => s3.behave(() => undefined))
afterAll(() => s3.stop())

let buckets = 0
function openBucket(prefix = '', maxAttempts = 6): { store: ObjectStore; bucket: string } {
  const bucket = `bucket-${++buckets}`
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const client = { endpoint: s3.endpoint, region: 'eu-central-1', forcePathStyle: true, credentials, maxAttempts }
  return { store: openS3Store({ bucket, prefix, client }), bucket }
}

objectStoreSuite('a bucket', async () => openBucket().store)
objectStoreSuite('a prefix of a bucket', async () => openBucket('gateways/one/').store)

const content = (text: string) => new TextEncoder().encode(text)

describe('a store that fails', () => {
  it('answers 503 SlowDown for a while: the request is repeated', async () => {
    const { store } = openBucket()
    let refusals = 3
    s3.behave(() => (refusals-- > 0 ? { answer: '503' } : undefined))
    expect(await store.create('a', content('x'))).toBe('created')
    expect(await store.get('a')).toEqual(content('x'))
  })

  it.each(['store then 500', 'cut'] as const)(
    'stores an object, and its answer is lost (%s): it is there, once',
    async (answer) => {
      const { store } = openBucket()
      let failures = 1
      s3.behave(({ method }) => (method === 'PUT' && failures-- > 0 ? { answer } : undefined))
      // The repetition meets what the first request stored.
      expect(await store.create('a', content('mine'))).toBe('taken')
      expect(await store.get('a')).toEqual(content('mine'))
      failures = 1
      await store.put('b', content('mine'))
      expect(await store.get('b')).toEqual(content('mine'))
    },
  )

  it('refuses for longer than the request is repeated: the caller hears of it', async () => {
    const { store } = openBucket('', 2)
    s3.behave(() => ({ answer: '503' }))
    await expect(store.create('a', content('x'))).rejects.toThrow('SlowDown')
    s3.behave(() => undefined)
    expect(await store.get('a')).toBeUndefined()
  })

  it('is slow: many requests at once all end, each key once', async () => {
    const { store, bucket } = openBucket()
    s3.behave(({ n }) => ({ delayMs: 10 + ((n * 7) % 90), ...(n % 11 === 0 ? { answer: 'store then 500' } : {}) }))
    await Promise.all(Array.from({ length: 60 }, (_, n) => store.create(`k/${n}`, content(String(n)))))
    s3.behave(() => undefined)
    expect(await store.list({ prefix: 'k/' })).toHaveLength(60)
    expect([...s3.objects.keys()].filter((path) => path.startsWith(`${bucket}/k/`))).toHaveLength(60)
  })
})
