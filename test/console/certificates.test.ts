import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import AxeBuilder from '@axe-core/playwright'
import { connect } from '@postern/smtp/test/wire-client.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { selfSigned } from '../peers/certificate.ts'
import { freePort, temporaryDirectory } from '../peers/peer.ts'
import { type Console, confirm, openConsole } from './console.ts'

/** The certificates page: each of the four sources in a browser, and the certificate that a mail client gets. */

let it: Console
beforeAll(async () => {
  it = await openConsole()
})
afterAll(() => it?.stop())

async function begin(way: string): Promise<void> {
  await it.page.getByRole('button', { name: 'New certificate' }).click()
  await it.page.getByRole('menuitem', { name: way }).click()
}
const save = () => it.page.getByRole('button', { name: 'Review and save' }).click()
const field = (label: string) => it.page.getByLabel(label, { exact: true })

/** Returns the fingerprint of the certificate that a client gets for this name. */
async function shown(servername: string): Promise<string | undefined> {
  const client = await connect({ port: it.postern.smtpPort })
  await client.hello()
  const socket = await client.startTls({ servername })
  const { fingerprint256 } = socket.getPeerX509Certificate() ?? {}
  client.destroy()
  return fingerprint256
}

test('upload: pasted and as a file, refused with a key that does not match, then used for clients', async () => {
  const { page } = it
  const [one, other] = [await selfSigned(['up.test'], 20), await selfSigned(['up.test'])]
  await it.go('/directory/certificates')
  await begin('Upload')
  await field('Name').fill('uploaded')
  await page.getByRole('textbox', { name: 'Certificate' }).fill(one.cert)
  await page.getByRole('textbox', { name: 'Private key' }).fill(other.key)
  await save()
  await page
    .getByText(/does not match the private key/)
    .first()
    .waitFor()
  const directory = await temporaryDirectory('upload')
  await writeFile(join(directory, 'key.pem'), one.key)
  await page.getByLabel('Choose a file').last().setInputFiles(join(directory, 'key.pem'))
  await expect.poll(() => page.getByRole('textbox', { name: 'Private key' }).inputValue()).toContain('PRIVATE KEY')
  await save()
  await page.getByRole('dialog').getByText('(secret)').first().waitFor()
  expect(await page.getByRole('dialog').last().innerText()).not.toContain('PRIVATE KEY')
  await confirm(page, 'Save')
  await page.getByRole('cell', { name: 'uploaded', exact: true }).waitFor()
  await page.getByRole('button', { name: 'Details of uploaded' }).click()
  const dialog = page.getByRole('dialog', { name: 'uploaded' })
  const print = await shown('up.test')
  await dialog.getByText(print ?? 'no certificate').waitFor()
  await dialog.getByText(/clients that ask for no name/).waitFor()
  const found = await new AxeBuilder({ page }).analyze()
  expect(found.violations.map(({ id }) => id)).toEqual([])
  // Replaced in place.
  await dialog.getByRole('button', { name: 'Replace' }).click()
  await page.getByRole('textbox', { name: 'Certificate' }).fill(other.cert)
  await page.getByRole('textbox', { name: 'Private key' }).fill(other.key)
  await save()
  await confirm(page, 'Save')
  await expect.poll(() => shown('up.test')).not.toBe(print)
  // 30 days: the overview warns.
  await it.go('/')
  await page.getByText('Certificate uploaded expires in 29 days').waitFor()
})

test('self-signed: generated and renewed', async () => {
  const { page } = it
  await it.go('/directory/certificates')
  await begin('Self-signed')
  await field('Name').fill('own')
  await field('Names').fill('own.test\n*.own.test')
  await field('Valid for').fill('5000')
  await save()
  await page
    .getByText(/from 1 to 3,650/)
    .first()
    .waitFor()
  await field('Valid for').fill('90')
  await save()
  await confirm(page, 'Save')
  const before = await shown('mail.own.test')
  await page.getByRole('button', { name: 'Details of own' }).click()
  await page.getByRole('dialog', { name: 'own' }).getByText('self-signed, created here').waitFor()
  await page.getByRole('button', { name: 'Renew now' }).click()
  await confirm(page, 'Renew')
  await expect.poll(() => shown('mail.own.test')).not.toBe(before)
})

test('a signing request: copied from the page, signed elsewhere, and the certificate uploaded', async () => {
  const { page } = it
  await it.go('/directory/certificates')
  await begin('Signing request (CSR)')
  await field('Name').fill('asked')
  await field('Names').fill('asked.test')
  await field('Key').selectOption('ecdsa-p384')
  await save()
  await confirm(page, 'Save')
  await page.getByText('not signed yet').waitFor()
  await page.getByRole('button', { name: 'Details of asked' }).click()
  const directory = await temporaryDirectory('authority')
  await writeFile(join(directory, 'request.pem'), await page.getByLabel('Signing request').inputValue())
  const authority = await selfSigned(['authority.test'])
  await writeFile(join(directory, 'ca.pem'), authority.cert)
  await writeFile(join(directory, 'ca.key'), authority.key)
  const options = ['-in', 'request.pem', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'signed.pem']
  execFileSync('openssl', ['x509', '-req', '-days', '60', '-copy_extensions', 'copy', ...options], { cwd: directory })
  await page.getByRole('button', { name: 'Upload the signed certificate' }).click()
  await page.getByRole('textbox', { name: 'Certificate' }).fill(await readFile(join(directory, 'signed.pem'), 'utf8'))
  await save()
  await confirm(page, 'Save')
  await page.getByText('not signed yet').waitFor({ state: 'detached' })
  expect(await shown('asked.test')).toBeDefined()
})

test('ACME: an order that fails says why, in the list, in the details and on the overview', async () => {
  const { page } = it
  await it.go('/directory/certificates')
  await begin('ACME')
  await field('Name').fill('ordered')
  await field('Names').fill('acme.test')
  await field('ACME directory').fill(`https://127.0.0.1:${await freePort()}/dir`)
  await save()
  await page
    .getByText(/must be true/)
    .first()
    .waitFor()
  await field('I agree to the authority’s terms of service').click()
  await save()
  await confirm(page, 'Save')
  await expect
    .poll(
      async () => {
        await it.go('/directory/certificates')
        return page.getByText('order failed').count()
      },
      { timeout: 20_000, interval: 500 },
    )
    .toBe(1)
  await page.getByRole('button', { name: 'Details of ordered' }).click()
  await page.getByText(/ECONNREFUSED/).waitFor()
  await it.go('/')
  await page.getByText('Certificate ordered was not issued').waitFor()
})

test('the browser reported no problems', () => {
  expect(it.complaints).toEqual([])
})
