import { type Browser, chromium } from 'playwright-core'

/** Without these, the browser requests updates and hints from the Internet, which fail noisily in a closed network. */
const quiet = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Starts Debian's Chromium without a window and with an empty profile. Call `close()` at the end. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args: quiet })
}
