import { spawn } from 'node:child_process'

export type SwaksRun = {
  /** 0 when the mail was taken; see swaks(1) for the others. */
  code: number
  /** The dialogue: `<-` and `->` before each line. */
  output: string
}

/** Sends one message with swaks, a manual test client. Does not reject, whatever the server replies. */
export function runSwaks(to: { host: string; port: number }, args: string[]): Promise<SwaksRun> {
  return new Promise((resolve, reject) => {
    const child = spawn('swaks', ['--server', to.host, '--port', String(to.port), '--timeout', '10', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const keep = (chunk: Buffer) => {
      output += chunk
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.once('error', reject)
    child.once('close', (code) => resolve({ code: code ?? -1, output }))
  })
}
