import type { AcmeAuthority } from '../dependencies.ts'

/**
 * ACME (RFC 8555) with acme-client. An administrator sets the directory URL, which must be https. The API must not be
 * usable to read other hosts in its network. So redirects are not followed, answers are limited to `answerMs` and
 * `answerBytes`, and only the problem's own text of a refusal is passed on.
 */
export const acme: AcmeAuthority = {
  async order({ directoryUrl, email, account, names, csr, publish, withdraw }) {
    const { Client } = await library()
    const client = new Client({
      directoryUrl,
      accountKey: account.key,
      ...(account.url ? { accountUrl: account.url } : {}),
      backoffAttempts: 15,
      backoffMin: 1_000,
      backoffMax: 5_000,
    })
    await reach(directoryUrl)
    try {
      const certificate = await client.auto({
        csr,
        ...(email ? { email } : {}),
        termsOfServiceAgreed: true,
        // Whether our host can be reached from outside is for the authority to check. A check from here proves nothing.
        skipChallengeVerification: true,
        challengePriority: ['http-01'],
        challengeCreateFn: async (_, { type, token }, answer) => {
          if (type !== 'http-01')
            throw new Error(`the certificate authority offers no http-01 challenge for ${names.join(', ')}`)
          await publish(token, answer)
        },
        challengeRemoveFn: (_, { token }) => withdraw(token),
      })
      return { certificate: String(certificate), accountUrl: client.getAccountUrl() }
    } catch (error) {
      throw new Error(sentenceOf(error))
    }
  },
}

const answerMs = 30_000
const answerBytes = 1_048_576

async function library() {
  const { default: acmeClient } = await import('acme-client')
  const { defaults } = acmeClient.axios
  Object.assign(defaults, { timeout: answerMs, maxRedirects: 0, maxContentLength: answerBytes })
  Object.assign(defaults, { acmeSettings: { ...acmeSettingsOf(defaults), retryMaxAttempts: 2, retryDefaultDelay: 1 } })
  return acmeClient
}

function acmeSettingsOf(defaults: object): object {
  return 'acmeSettings' in defaults ? (defaults.acmeSettings as object) : {}
}

/** Checks that the directory can be reached. When it cannot, acme-client fails without giving the cause. */
async function reach(directoryUrl: string): Promise<void> {
  try {
    const answer = await fetch(directoryUrl, { redirect: 'error', signal: AbortSignal.timeout(answerMs) })
    await answer.body?.cancel()
  } catch (error) {
    const { cause, name } = error as { cause?: { code?: string; message?: string }; name: string }
    const why = name === 'TimeoutError' ? `no answer within ${answerMs / 1000} s` : (cause?.code ?? cause?.message)
    throw new Error(`the ACME directory cannot be reached: ${why ?? 'the connection failed'}`)
  }
}

/** Returns one line for the console, without a meaningless `Error: ` prefix. */
function sentenceOf(error: unknown): string {
  // This is how acme-client reports a broken connection.
  if (error instanceof TypeError) return 'the certificate authority closed the connection'
  const { code, message } = error as { code?: unknown; message?: unknown }
  const said = [typeof code === 'string' ? code : '', String(message ?? '')].filter(Boolean).join(': ')
  return said.replace(/\s+/g, ' ').slice(0, 400) || 'the certificate authority gave no reason'
}
