import { Thread } from '@postern/net/thread.ts'
import type { PasswordRequest, PasswordResponse, ThreadSetup } from './password-thread.ts'

/**
 * Checks passwords in threads of the lowest priority, so that password guessing never slows mail. There are as many threads as
 * checks ever ran at the same time; the caller bounds that.
 */
export class PasswordThreads {
  readonly #setup: ThreadSetup
  readonly #idle: Thread<PasswordRequest, PasswordResponse>[] = []

  constructor(setup: ThreadSetup) {
    this.#setup = setup
  }

  /** Rejects when the hash cannot be read or the thread has died. */
  async check(hash: string, password: string): Promise<boolean> {
    const thread = this.#idle.pop() ?? this.#newThread()
    try {
      const { matches } = await thread.ask({ id: thread.nextId(), hash, password })
      return matches
    } finally {
      this.#idle.push(thread)
    }
  }

  #newThread(): Thread<PasswordRequest, PasswordResponse> {
    const script = new URL('password-thread.ts', import.meta.url)
    return new Thread({ script, task: 'checking passwords', workerData: this.#setup })
  }
}
