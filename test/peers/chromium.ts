import { type Browser, chromium } from 'playwright-core'

/** Without these the browser asks the world for updates and hints, which a closed network answers with noise. */
const quiet = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Debian's Chromium without a window, with an empty profile of its own. `close()` it. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args: quiet })
}
